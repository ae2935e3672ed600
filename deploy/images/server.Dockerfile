# syntax=docker/dockerfile:1
# The control server, and MLflow's server of the same version. No torch.
#   docker build -f deploy/images/server.Dockerfile -t REGISTRY/learnfleet/server:0.1.0-ray2.60.0 .
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY . .
RUN deploy/images/make-venv.sh deploy/locks/server.txt /opt/learnfleet

FROM ${PYTHON_IMAGE} AS run
RUN --mount=type=bind,source=deploy/images,target=/images /images/add-user.sh
COPY --from=build /opt/learnfleet /opt/learnfleet
ENV PATH=/opt/learnfleet/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
LABEL org.opencontainers.image.title="learnfleet server" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://example.com/learnfleet"
WORKDIR /var/lib/learnfleet
USER 10001:10001
EXPOSE 8470 8471
STOPSIGNAL SIGTERM
ENTRYPOINT ["learnfleet"]
CMD ["serve"]
