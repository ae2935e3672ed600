"""Persistence: what a Learner writes, reads and lets go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from learnfleet.trainer import export, learner_export, learner_files, learner_memory
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.learner_core import LearnerCore
from learnfleet.trainer.learner_files import Device, FileName

if TYPE_CHECKING:
    from pathlib import Path

    from learnfleet.trainer.learner import Learner


class LearnerPersistence(LearnerCore):
    """The part of `Learner` that saves, loads and exports."""

    def save(self, file: FileName = None, return_path: bool = False, with_opt: bool = True) -> Path | None:
        """Write weights, buffers, optimiser and counters to the folder `path/model_dir/<file>`.

        A folder of safetensors, JSON and a manifest of SHA-256, where fastai has one pickle `<file>.pth`; it is there
        completely or not at all, and replaces an earlier save of that name. An absolute `file` is taken as it is.
        Every rank must call; rank 0 writes.

        Args:
            return_path: give the folder back.
            with_opt: also the optimiser, where there is one.

        Raises LearnerError for no name, a place that cannot be written, or one where something else is.
        """
        folder = learner_files.save(self.whole, file, with_opt=with_opt)
        return folder if return_path else None

    def load(
        self,
        file: FileName = None,
        device: Device = None,
        strict: bool = True,
        with_opt: bool | None = None,
        purge: bool = False,
        remove_module: bool = False,
    ) -> Learner:
        """Take over what `save` wrote under this name; frozen layer groups stay as they are.

        Where there is no such folder but a file, or `<file>.pth`, as fastai writes it: see `load_fastai_weights`.
        Every rank must call.

        Args:
            device: where the file is read to, before it is copied to the model, which stays where it is; an int is a
                CUDA device. Default: the data's device.
            strict: False takes the weights that fit and logs which are missing or unknown. Shapes must always fit.
            with_opt: None takes the optimiser as far as it fits what is trained now, and logs what does not fit and
                why (fastai says nothing); True raises unless all of it is restored; False leaves it.
            purge: let go of gradients before reading, and of the optimiser where the file's may take its place.
            remove_module: take the `module.` of a parallel wrapper off the names that have it.

        Raises FileNotFoundError, CorruptCheckpoint (a hash is wrong, a file is missing), or LearnerError.
        """
        if purge:
            self.purge(clear_opt=with_opt is not False)
        learner_files.load(
            self.whole, file, device=device, strict=strict, with_opt=with_opt, remove_module=remove_module
        )
        return self.whole

    def load_fastai_weights(
        self, file: FileName, device: Device = None, strict: bool = True, remove_module: bool = False
    ) -> Learner:
        """Take over the weights of a `.pth` that fastai v1 or v2 saved (or torch, or a .safetensors file).

        The path rule is that of `load`. The optimiser in such a file is left out. A file that holds other Python
        objects is refused: nothing of it is run. Raises FileNotFoundError or LearnerError.
        """
        learner_files.load_weights_file(
            self.whole,
            learner_files.place(self.whole, file),
            device=device,
            strict=strict,
            with_opt=None,
            remove_module=remove_module,
        )
        return self.whole

    def export(self, file: Path | str = "export", destroy: bool = False, onnx: bool = False) -> Path:
        """Write the folder `path/<file>`, from which `load_learner` makes a learner without data. Returns it.

        It holds weights, classes, transforms, normalisation, and loss, metrics and optimiser by their names, with a
        model card; docs/exports.md says all of it. Every rank must call; rank 0 writes.

        Args:
            destroy: afterwards, `destroy` this learner.
            onnx: the model as ONNX, too (learnfleet[onnx]), which takes some seconds; the card says what became of it.

        Raises LearnerError listing the parts of the learner that no name leads to.
        """
        out = learner_export.export(self.whole, self.path / file, onnx=onnx)
        if destroy:
            self.destroy()
        return out

    def purge(self, clear_opt: bool = True) -> Learner:
        """Let go of the memory that training took: gradients, the optimiser's moments, cached blocks of the device.

        Args:
            clear_opt: also the optimiser, which then starts anew.
        """
        learner_memory.purge(self.whole, clear_opt=clear_opt)
        return self.whole

    def destroy(self) -> None:
        """Let go of everything. Whatever is asked of this learner later raises LearnerError."""
        learner_memory.destroy(self.whole)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise LearnerError("pickle", "a Learner is not pickled or copied: `save` and `load` it, or `export` it")

    def eval_transform_json(self) -> dict[str, Any] | None:
        """How a picture becomes the model's input in validation. None for data that are no pictures."""
        return export.eval_transform_json(self.data)
