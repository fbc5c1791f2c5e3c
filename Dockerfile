# The image of `presagio exporter` and `presagio webhook`: one command, no shell between it and the engine.
#
#     docker build --tag presagio .        or: make image, which labels it with its version too
#
# The version stands in setup.cfg alone: the wheel takes it from there.

# Python of the tests, on Debian 12; both stages have the same, so that the virtual environment can move
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY . .
# pip stays here: what runs has no use for it. And the file itself is installed, never a package of that name from elsewhere
RUN python -m pip wheel --no-deps --wheel-dir=/wheels . \
 && python -m venv --without-pip /opt/presagio \
 && set -- /wheels/presagio-*.whl \
 && python -m pip --python=/opt/presagio/bin/python install "$1[postgres,redis]"

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="Presagio" \
      org.opencontainers.image.description="Predictive maintenance for anything that Prometheus watches" \
      org.opencontainers.image.source="https://github.com/presagio/presagio" \
      org.opencontainers.image.documentation="https://github.com/presagio/presagio/tree/main/docs" \
      org.opencontainers.image.licenses="MIT"
# libgomp1: LightGBM's wheel needs it and does not bring it. Without a version: the base pins Debian's release, and
# Debian keeps only the newest of each package
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner=65534 --group=65534 /data /run/presagio
COPY --from=build /opt/presagio /opt/presagio
# the root may be read-only: bytecode was written at the build, and libraries that want a home get /tmp
ENV PATH=/opt/presagio/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# a number, so that Kubernetes can see that it is not root
USER 65534:65534
WORKDIR /data
VOLUME /data
EXPOSE 8000 3001
# whichever of exporter and webhook runs in it, at its usual port
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["presagio", "healthcheck"]
ENTRYPOINT ["presagio"]
CMD ["--help"]
