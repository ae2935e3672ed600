"""What a user of the trainer can get wrong. Imports no torch; errors survive a process boundary."""

from __future__ import annotations


class LearnerError(ValueError):
    """A learner cannot be made or used as asked."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message

    def __reduce__(self) -> tuple[type[LearnerError], tuple[str, str]]:
        return type(self), (self.field, self.message)


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite."""

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(
            f"the loss is {loss} at step {step}. Lower the learning rate, or look for broken targets or pictures;"
            " the last checkpoint is from before this step."
        )
        self.step, self.loss = step, loss

    def __reduce__(self) -> tuple[type[NonFiniteLoss], tuple[int, float]]:
        return type(self), (self.step, self.loss)


class OtherRankFailed(RuntimeError):
    """Another process of the group could not do its part."""


def describe_error(error: Exception) -> dict[str, str]:
    """An error as JSON-able data, for the other ranks."""
    if isinstance(error, LearnerError):
        return {"field": error.field, "message": error.message}
    return {"text": f"{type(error).__name__}: {error}"}


def error_described(told: dict[str, str]) -> Exception:
    """What a rank raises for the error of another: the same LearnerError, or its text."""
    if "field" in told:
        return LearnerError(told["field"], told["message"])
    return OtherRankFailed(told["text"])
