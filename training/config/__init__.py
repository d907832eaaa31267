"""What a training run is given: strict, every field with its unit, and refused here if it could not be served."""

from tianjing.lora import MAX_SERVED_RANK, Unserved, unserved
from training.config.lora import LINEAR_LAYERS, LoraSection
from training.config.preference import PreferenceSection
from training.config.presets import PRESETS
from training.config.run import EvaluationSection, ReplaySection, TrainConfig

__all__ = [
    "LINEAR_LAYERS",
    "MAX_SERVED_RANK",
    "PRESETS",
    "EvaluationSection",
    "LoraSection",
    "PreferenceSection",
    "ReplaySection",
    "TrainConfig",
    "Unserved",
    "unserved",
]
