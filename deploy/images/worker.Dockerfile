# syntax=docker/dockerfile:1
# A node of the Ray cluster, its head included. KubeRay says what it starts. With CUDA or without:
#   docker build -f deploy/images/worker.Dockerfile --build-arg DEVICE=cuda -t REGISTRY/learnfleet/worker:0.1.0-ray2.60.0-cuda .
# CUDA's libraries come as wheels, so both begin with the same small image; the driver is the node's.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# Nothing of the sources is here, so that a new version of them leaves this as it is.
FROM ${PYTHON_IMAGE} AS packages
ARG DEVICE=cpu
WORKDIR /src
COPY deploy/locks/worker-${DEVICE}.txt deploy/locks/
COPY deploy/images/install-packages.sh deploy/images/
RUN deploy/images/install-packages.sh deploy/locks/worker-${DEVICE}.txt /opt/learnfleet

FROM packages AS project
COPY . .
RUN deploy/images/install-project.sh /opt/learnfleet /layer

FROM ${PYTHON_IMAGE} AS run
RUN --mount=type=bind,source=deploy/images,target=/images /images/add-user.sh
COPY --from=packages /opt/learnfleet /opt/learnfleet
COPY --from=project /layer /
ENV PATH=/opt/learnfleet/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
LABEL org.opencontainers.image.title="learnfleet worker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://example.com/learnfleet"
WORKDIR /var/lib/learnfleet
USER 10001:10001
EXPOSE 6379 8080 10001 52365
CMD ["ray", "--help"]
