"""Networks by their names: `models.resnet18`."""

from __future__ import annotations

from dataclasses import dataclass

from learnfleet.client.named import table


@dataclass(frozen=True)
class Architecture:
    """A network that the workers build."""

    name: str

    @property
    def __name__(self) -> str:
        return self.name


class Models:
    """torchvision's classification networks as attributes; those of timm and pytorchcv go by their names alone."""

    def __getattr__(self, name: str) -> Architecture:
        if name not in table()["architectures"]:
            raise AttributeError(f"there is no architecture {name!r} among torchvision's; others go by their names")
        return Architecture(name)

    def __dir__(self) -> list[str]:
        return list(table()["architectures"])


models = Models()
