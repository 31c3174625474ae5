# ftchaos for a cluster: without root, and with a root file system that may be read-only. docs/in-cluster.md has the rest.
#
#   docker build -t ftchaos:0.1.0 .
#
# BASE is any image with Python from 3.11 to 3.13; PACKAGES are Debian's, such as git for manifests in a repository.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /source
COPY setup.cfg pyproject.toml MANIFEST.in README.md LICENSE CHANGELOG.md ./
COPY ftchaos ftchaos
COPY dr_drills dr_drills
COPY experiments experiments
COPY gamedays gamedays
# The package manager stays behind: what runs installs nothing.
RUN python -m venv --without-pip /opt/ftchaos
RUN python -m pip --python /opt/ftchaos install --no-cache-dir --disable-pip-version-check .

FROM ${BASE}
ARG PACKAGES=""
RUN test -z "${PACKAGES}" || { apt-get update && apt-get install -y --no-install-recommends ${PACKAGES} && rm -rf /var/lib/apt/lists/*; }
COPY --from=build /opt/ftchaos /opt/ftchaos
# All that is written lies in one folder: evidence in reports, locks and undo logs in state, and temporary files.
RUN mkdir -p /var/lib/ftchaos && chown -R 10001:10001 /var/lib/ftchaos
ENV PATH=/opt/ftchaos/bin:/usr/local/bin:/usr/bin:/bin
ENV HOME=/var/lib/ftchaos
ENV TMPDIR=/var/lib/ftchaos
ENV FTCHAOS_STATE=/var/lib/ftchaos/state
ENV FTCHAOS_CACHE=/var/lib/ftchaos/cache
ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
WORKDIR /var/lib/ftchaos
VOLUME /var/lib/ftchaos
USER 10001:10001
ENTRYPOINT ["ftchaos"]
CMD ["--help"]
