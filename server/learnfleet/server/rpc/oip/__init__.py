"""The Open Inference Protocol, version 2, over the same models and the same inference as PredictionService."""
