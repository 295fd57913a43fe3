# Subtaxa's services for CPUs: docker build -f deploy/image/cpu.Dockerfile -t subtaxa:0.1.0-cpu .
# Bases are pinned by exact tag; deploy/README.md says how to pin them by digest.
ARG NODE_IMAGE=node:22.12.0-bookworm-slim
ARG BUILD_IMAGE=python:3.12.8-bookworm
ARG BASE_IMAGE=debian:bookworm-20241223-slim

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
