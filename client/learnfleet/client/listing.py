"""Requests for pages of jobs and learners."""

from __future__ import annotations

from collections.abc import Sequence

from learnfleet.v1 import job_pb2, job_service_pb2, training_service_pb2


def learners_request(page_token: str) -> training_service_pb2.ListLearnersRequest:
    return training_service_pb2.ListLearnersRequest(page_token=page_token)


def jobs_request(page_token: str, learner: str, states: Sequence[str]) -> job_service_pb2.ListJobsRequest:
    """`states`: such as "RUNNING". Raises ValueError for one that there is not."""
    numbers = [job_pb2.JobState.Value(f"JOB_STATE_{state}") for state in states]
    return job_service_pb2.ListJobsRequest(page_token=page_token, learner=learner, states=numbers)
