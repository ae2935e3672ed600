"""Training a learner on the server, for asyncio."""

from __future__ import annotations

from collections.abc import Sequence

from learnfleet.client.aio_connection import AsyncConnection
from learnfleet.client.aio_job import AsyncJob
from learnfleet.client.components import Components, as_components
from learnfleet.client.lr_rules import Rules, names_of
from learnfleet.client.placement import Placement
from learnfleet.client.results import JobInfo
from learnfleet.client.run_settings import RunSettings
from learnfleet.client.specs import LearnerSpec
from learnfleet.client.stage_specs import (
    Fit,
    FitFlatCos,
    FitOneCycle,
    FitSgdr,
    Lr,
    LrFind,
    Stage,
    Wd,
    fine_tune_stages,
)
from learnfleet.client.subject import Subject
from learnfleet.client.values import LrFinding
from learnfleet.v1 import job_pb2


class AsyncTraining(Subject):
    """The part of `AsyncLearner` that trains. Fits give their job at once: it is queued then."""

    def __init__(
        self,
        connection: AsyncConnection,
        name: str,
        spec: LearnerSpec | None,
        settings: RunSettings = RunSettings(),  # noqa: B008
    ) -> None:
        super().__init__(name, spec, settings)
        self.connection = connection
        self.last_job: AsyncJob | None = None

    async def train(self, stages: Sequence[Stage]) -> AsyncJob:
        """Queue several stages as one job, after the freezes that wait for it."""
        queued = await self.connection.call(self.connection.training.Train, self.train_request(stages))
        self.was_sent(queued.learner)
        return self.begun(queued)

    async def dry_run(self, stages: Sequence[Stage]) -> Placement:
        """Where `train(stages)` would run now, or what it would wait for. All is checked, nothing is queued."""
        answer = await self.connection.call(self.connection.training.Train, self.dry_run_request(stages))
        return Placement.from_proto(answer.placement)

    async def fit(self, epochs: int, lr: Lr = slice(3e-3), wd: Wd = None, callbacks: Components = None) -> AsyncJob:
        """Train with a constant learning rate. As `RemoteLearner.fit(wait=False)`."""
        return await self.train([Fit(epochs, lr, wd, as_components(callbacks))])

    async def fit_one_cycle(
        self,
        cyc_len: int,
        max_lr: Lr = slice(3e-3),
        moms: tuple[float, float] = (0.95, 0.85),
        div_factor: float = 25.0,
        pct_start: float = 0.3,
        final_div: float | None = None,
        wd: Wd = None,
        callbacks: Components = None,
        tot_epochs: int | None = None,
        start_epoch: int | None = None,
    ) -> AsyncJob:
        """Train with the one-cycle policy for `cyc_len` epochs. As `fit` otherwise."""
        own = as_components(callbacks)
        stage = FitOneCycle(cyc_len, max_lr, moms, div_factor, pct_start, final_div, wd, own, tot_epochs, start_epoch)
        return await self.train([stage])

    async def fit_fc(
        self,
        tot_epochs: int = 1,
        lr: Lr = slice(3e-3),
        moms: tuple[float, float] = (0.95, 0.85),
        start_pct: float = 0.72,
        wd: Wd = None,
        callbacks: Components = None,
        curve: str = "cosine",
    ) -> AsyncJob:
        """Train with a constant learning rate that is annealed at the end. As `fit` otherwise."""
        return await self.train([FitFlatCos(tot_epochs, lr, moms, start_pct, curve, wd, as_components(callbacks))])

    async def fit_sgdr(
        self,
        n_cycles: int,
        cycle_len: int,
        lr_max: Lr = slice(3e-3),
        cycle_mult: int = 2,
        wd: Wd = None,
        callbacks: Components = None,
    ) -> AsyncJob:
        """Train in cosine cycles with warm restarts. As `fit` otherwise."""
        return await self.train([FitSgdr(n_cycles, cycle_len, lr_max, cycle_mult, wd, as_components(callbacks))])

    async def fine_tune(
        self,
        epochs: int,
        base_lr: float = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100.0,
        pct_start: float = 0.3,
        div: float = 5.0,
        wd: Wd = None,
        callbacks: Components = None,
    ) -> AsyncJob:
        """Train the head, then everything with discriminative rates (fastai v2), as one job. As `fit` otherwise."""
        stages = fine_tune_stages(epochs, base_lr, freeze_epochs, lr_mult, pct_start, div, wd, callbacks)
        return await self.train(stages)

    async def lr_find(
        self,
        start_lr: Lr = 1e-7,
        end_lr: Lr = 10.0,
        num_it: int = 100,
        stop_div: bool = True,
        wd: Wd = None,
        suggest_funcs: Rules | None = None,
    ) -> LrFinding:
        """Search a learning rate; the learner stays as it was."""
        wanted = names_of(suggest_funcs)
        job = await self.train([LrFind(start_lr, end_lr, num_it, stop_div, wd)])
        return (await job.wait()).result.lr_findings[0].only(wanted)

    def begun(self, queued: job_pb2.Job) -> AsyncJob:
        self.last_job = AsyncJob(self.connection, JobInfo.from_proto(queued))
        return self.last_job
