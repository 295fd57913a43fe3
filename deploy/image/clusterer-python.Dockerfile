# The clusterer gmm, in Python: docker build -f deploy/image/clusterer-python.Dockerfile -t subtaxa-clusterer-python:0.1.0 .
# The base is pinned by digest, as github.com/docker-library/repo-info lists it; deploy/README.md says how to renew it.
# It is the one that the other images are built in: Debian's slim one lacks Python, and installs it in no fixed version.
ARG BASE_IMAGE=python:3.12.14-bookworm@sha256:dbbe4ceb97851e2e5fa83798b239811f871cb743b259ba3563737349f6bcfaa0

FROM ${BASE_IMAGE}
COPY services/clusterer-python/requirements.txt services/clusterer-python/clusterer.py /opt/clusterer/
RUN pip install --no-cache-dir --require-hashes --only-binary=:all: --requirement /opt/clusterer/requirements.txt
# Nothing is written; the root may be read-only.
ENV PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
USER 10001:10001
ENTRYPOINT ["python3", "/opt/clusterer/clusterer.py"]
