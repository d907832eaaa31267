"""Does training see what serving will see?"""
