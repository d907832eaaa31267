"""Job files for schedulers, all from one description: `tianjing train launch`."""
