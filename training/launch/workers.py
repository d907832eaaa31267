"""`accelerate launch` whose exit status is that of the training processes: python -m training.launch.workers …

accelerate and torchrun turn every failure of a process into status 1, so that a scheduler could not tell an interrupted
run (75: start it again) from a broken one. Takes accelerate's own arguments.
"""

from __future__ import annotations

import sys

from tianjing.errors import EXIT_RESUMABLE

_SIGNALLED = 128


def main(arguments: list[str] | None = None) -> int:
    """Start this machine's processes and wait for them.

    On SIGTERM torchrun passes it on to them and waits TORCH_ELASTIC_SHUTDOWN_TIMEOUT seconds; what they have saved is
    there, and what they have not is in the last checkpoint: either way the run can go on.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        launch_command(launch_command_parser().parse_args(arguments))
    except SignalException:
        return EXIT_RESUMABLE
    except ChildFailedError as error:
        # The first failure is the cause; the others follow from it.
        status = error.get_first_failure()[1].exitcode
        return status if status >= 0 else _SIGNALLED - status
    return 0


if __name__ == "__main__":
    sys.exit(main())
