# syntax=docker/dockerfile:1
# The control server, and MLflow's server of the same version. No torch.
#   docker build -f deploy/images/server.Dockerfile -t REGISTRY/learnfleet/server:0.1.0-ray2.60.0 .
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# Nothing of the sources is here, so that a new version of them leaves this as it is.
FROM ${PYTHON_IMAGE} AS packages
WORKDIR /src
COPY deploy/locks/server.txt deploy/locks/
COPY deploy/images/install-packages.sh deploy/images/
RUN deploy/images/install-packages.sh deploy/locks/server.txt /opt/learnfleet

FROM packages AS project
COPY . .
RUN deploy/images/install-project.sh /opt/learnfleet /layer

FROM ${PYTHON_IMAGE} AS run
RUN --mount=type=bind,source=deploy/images,target=/images /images/add-user.sh
COPY --from=packages /opt/learnfleet /opt/learnfleet
COPY --from=project /layer /
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
