/* Which patterns may match in each of many texts: the inner loop of `screening`, whose arrays say the same with numpy.

A text is a run of cells. Words are found by their characters (single and pairs of cells) and by their sound (a trie);
each belongs to sets, as bits of its kind. A pattern is reported for a text when around a word of its first set a word of
every other set begins near enough. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHARS, SOUNDS, TEXT,                                   /* by cell: int16, int16, int32 */
    SINGLE, PAIRS,                                         /* kind by characters: int32 [size], int32 [size][size] */
    SOUND_PAIRS, NODE_KIND, CHILD_START, CHILD_SOUND, CHILD_NODE, /* the trie; all int32 */
    MASKS,                                                 /* the sets of each kind: uint64 [kinds][width] */
    KEYED_START, KEYED,                                    /* by kind, the patterns it is most telling of: int32 */
    SLOT_START, SETS, ROOMS, BEFORE,                       /* by pattern, its sets, cells of room, direction: int32 */
    BUFFERS
};

typedef struct { int32_t first, after, kind; } Word;

typedef struct {
    const int32_t *sets, *rooms, *before;
    int slots;
} Pattern;

static int by_number(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

static inline int holds(const uint64_t *mask, int32_t set) { return mask[set >> 6] >> (set & 63) & 1; }

/* Whether a word of every set of the pattern stands near one word of its first; `from[cell]` is the first word there. */
static int is_near(const Pattern *pattern, const Word *words, Py_ssize_t count, const uint64_t *masks, Py_ssize_t width,
                   const int32_t *from, Py_ssize_t cells)
{
    for (Py_ssize_t left = 0; left < count; left++) {
        if (!holds(masks + words[left].kind * width, pattern->sets[0]))
            continue;
        int slot = 1;
        for (; slot < pattern->slots; slot++) {
            Py_ssize_t earliest, latest;
            if (pattern->before[slot]) {
                latest = (Py_ssize_t)words[left].first - 1;
                earliest = latest + 1 - pattern->rooms[slot];
            } else {
                earliest = words[left].after;
                latest = earliest + pattern->rooms[slot];
            }
            if (earliest < 0)
                earliest = 0;
            if (earliest >= cells)
                break;
            Py_ssize_t other = from[earliest];
            while (other < count && words[other].first <= latest &&
                   !holds(masks + words[other].kind * width, pattern->sets[slot]))
                other++;
            if (other == count || words[other].first > latest)
                break;
        }
        if (slot == pattern->slots)
            return 1;
    }
    return 0;
}

static PyObject *numbers_of(const int32_t *found, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *number = PyLong_FromLong(found[i]);
        if (!number) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, number);
    }
    return list;
}

static int append(PyObject *result, int32_t text, const int32_t *found, Py_ssize_t count)
{
    PyObject *numbers = numbers_of(found, count);
    PyObject *item = numbers ? Py_BuildValue("(iN)", (int)text, numbers) : NULL;
    int failed = !item || PyList_Append(result, item) < 0;
    Py_XDECREF(item);
    return failed;
}

/* nearby(size, sounds, width, buffers): a list of (text, numbers of patterns, ascending) of the texts that have any. */
static PyObject *nearby(PyObject *self, PyObject *args)
{
    Py_ssize_t size, alphabet, width;
    PyObject *sequence;
    if (!PyArg_ParseTuple(args, "nnnO!", &size, &alphabet, &width, &PyTuple_Type, &sequence))
        return NULL;
    if (PyTuple_GET_SIZE(sequence) != BUFFERS)
        return PyErr_Format(PyExc_ValueError, "%d buffers are needed", BUFFERS);
    Py_buffer buffers[BUFFERS];
    int taken = 0;
    PyObject *result = NULL;
    Word *words = NULL;
    int32_t *from = NULL, *seen_kind = NULL, *seen_pattern = NULL, *candidates = NULL;
    uint64_t *present = NULL;
    for (; taken < BUFFERS; taken++)
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(sequence, taken), &buffers[taken], PyBUF_SIMPLE) < 0)
            goto done;
#define AS(type, name) ((const type *)buffers[name].buf)
#define ITEMS(type, name) (buffers[name].len / (Py_ssize_t)sizeof(type))
    const int16_t *chars = AS(int16_t, CHARS), *sounds = AS(int16_t, SOUNDS);
    const int32_t *text = AS(int32_t, TEXT), *single = AS(int32_t, SINGLE), *pairs = AS(int32_t, PAIRS);
    const int32_t *sound_pairs = AS(int32_t, SOUND_PAIRS), *node_kind = AS(int32_t, NODE_KIND);
    const int32_t *child_start = AS(int32_t, CHILD_START), *child_sound = AS(int32_t, CHILD_SOUND);
    const int32_t *child_node = AS(int32_t, CHILD_NODE), *keyed_start = AS(int32_t, KEYED_START);
    const int32_t *keyed = AS(int32_t, KEYED), *slot_start = AS(int32_t, SLOT_START);
    const uint64_t *masks = AS(uint64_t, MASKS);
    const Py_ssize_t total = ITEMS(int32_t, TEXT);
    const Py_ssize_t kinds = ITEMS(int32_t, KEYED_START), patterns = ITEMS(int32_t, SLOT_START);
    Py_ssize_t room = 1024, cells_room = 0;
    words = malloc(room * sizeof *words);
    seen_kind = calloc(kinds, sizeof *seen_kind);
    seen_pattern = calloc(patterns, sizeof *seen_pattern);
    candidates = malloc(patterns * sizeof *candidates);
    present = malloc(width * sizeof *present);
    result = PyList_New(0);
    if (!words || !seen_kind || !seen_pattern || !candidates || !present || !result)
        goto failed;
    int32_t stamp = 0;
    for (Py_ssize_t start = 0, end; start < total; start = end) {
        for (end = start + 1; end < total && text[end] == text[start]; end++)
            ;
        const Py_ssize_t cells = end - start;
        if (cells > cells_room) {
            free(from);
            cells_room = 2 * cells;
            if (!(from = malloc(cells_room * sizeof *from)))
                goto failed;
        }
        Py_ssize_t count = 0, some = 0;
        stamp++;
        memset(present, 0, width * sizeof *present);
        for (Py_ssize_t i = 0; i < cells; i++) {
            const Py_ssize_t at = start + i;
            from[i] = (int32_t)count;
            /* At most one word a length begins here. */
            int32_t kind = single[chars[at]], after = (int32_t)i + 1, node = 0;
            int step = 0;
            for (;;) {
                if (kind) {
                    if (count == room) {
                        Word *more = realloc(words, 2 * room * sizeof *words);
                        if (!more)
                            goto failed;
                        words = more;
                        room *= 2;
                    }
                    words[count++] = (Word){(int32_t)i, after, kind};
                    if (seen_kind[kind] != stamp) {
                        seen_kind[kind] = stamp;
                        for (Py_ssize_t w = 0; w < width; w++)
                            present[w] |= masks[kind * width + w];
                        for (int32_t k = keyed_start[kind]; k < keyed_start[kind + 1]; k++)
                            if (seen_pattern[keyed[k]] != stamp) {
                                seen_pattern[keyed[k]] = stamp;
                                candidates[some++] = keyed[k];
                            }
                    }
                }
                if (step == 0) {
                    if (i + 1 == cells)
                        break;
                    after = (int32_t)i + 2;
                    kind = pairs[chars[at] * size + chars[at + 1]];
                } else if (step == 1) {
                    node = sound_pairs[sounds[at] * alphabet + sounds[at + 1]];
                    if (!node)
                        break;
                    kind = node_kind[node];
                } else {
                    if (after >= cells)
                        break;
                    const int32_t sound = sounds[start + after];
                    int32_t child = child_start[node];
                    while (child < child_start[node + 1] && child_sound[child] < sound)
                        child++;
                    if (child == child_start[node + 1] || child_sound[child] != sound)
                        break;
                    node = child_node[child];
                    kind = node_kind[node];
                    after++;
                }
                step++;
            }
        }
        Py_ssize_t found = 0;
        for (Py_ssize_t i = 0; i < some; i++) {
            const int32_t number = candidates[i], first = slot_start[number];
            const Pattern pattern = {AS(int32_t, SETS) + first, AS(int32_t, ROOMS) + first, AS(int32_t, BEFORE) + first,
                                     slot_start[number + 1] - first};
            int slot = 0;
            while (slot < pattern.slots && holds(present, pattern.sets[slot]))
                slot++;
            if (slot == pattern.slots && is_near(&pattern, words, count, masks, width, from, cells))
                candidates[found++] = number;
        }
        if (found) {
            qsort(candidates, found, sizeof *candidates, by_number);
            if (append(result, text[start], candidates, found))
                goto failed;
        }
    }
    goto done;
failed:
    Py_CLEAR(result);
    if (!PyErr_Occurred())
        PyErr_NoMemory();
done:
    free(words);
    free(from);
    free(seen_kind);
    free(seen_pattern);
    free(candidates);
    free(present);
    while (taken--)
        PyBuffer_Release(&buffers[taken]);
    return result;
}

static PyMethodDef methods[] = {
    {"nearby", nearby, METH_VARARGS, "nearby(size, sounds, width, buffers) -> list of (text, numbers of patterns)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_nearby", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__nearby(void) { return PyModule_Create(&module); }
