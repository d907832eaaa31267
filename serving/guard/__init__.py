"""What stands between a caller and the model: `tianjing.guard` over what goes in and what comes out.

A guard that fails lets nothing pass.
"""
