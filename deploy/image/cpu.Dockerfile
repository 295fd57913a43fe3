# Subtaxa's services for CPUs: docker build -f deploy/image/cpu.Dockerfile -t subtaxa:0.1.0-cpu .
# Bases are pinned by digest, as github.com/docker-library/repo-info lists them; deploy/README.md says how to renew them.
ARG NODE_IMAGE=node:22.23.2-bookworm-slim@sha256:48e4b67d85f87bd551df43704e24d252f56cc5f8e9718841aace50f19948f0f9
ARG BUILD_IMAGE=python:3.12.14-bookworm@sha256:dbbe4ceb97851e2e5fa83798b239811f871cb743b259ba3563737349f6bcfaa0
ARG BASE_IMAGE=debian:bookworm-20260918-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251

FROM ${NODE_IMAGE} AS deno
COPY deploy/image/fetch-deno.sh /build/
RUN /build/fetch-deno.sh /opt/subtaxa

# Has pip and a C++ compiler, for the native parts.
FROM ${BUILD_IMAGE} AS build
COPY --from=deno /opt/subtaxa/deno /opt/subtaxa/deno
WORKDIR /src
COPY . .
RUN /opt/subtaxa/deno install --frozen \
  && /opt/subtaxa/deno run -A scripts/deploy.ts stage /opt/subtaxa \
  && install -m 0755 deploy/image/entry.sh /opt/subtaxa/entry.sh

FROM ${BASE_IMAGE}
COPY --from=build /opt/subtaxa /opt/subtaxa
ENV SUBTAXA_HOME=/opt/subtaxa/native \
    SUBTAXA_DATA=/data \
    DENO_DIR=/opt/subtaxa/cache \
    DENO_NO_UPDATE_CHECK=1 \
    HOME=/tmp
# Nothing but /data and /tmp is written; both may be mounted over a read-only root.
RUN install -d -o 10001 -g 10001 /data /datasets
VOLUME ["/data"]
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["/opt/subtaxa/entry.sh"]
CMD ["gateway"]
