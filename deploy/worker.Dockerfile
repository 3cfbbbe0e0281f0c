# Workers of every queue, and upkeep: engines and their OCR data are inside, nothing is fetched at run time.
# Build it from the root of the repository: docker build -f deploy/worker.Dockerfile .
FROM python:3.13.12-slim-trixie AS build
WORKDIR /app
# The packages of the project are empty here, so this layer is made again only when a dependency changes.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir services shared \
    && touch services/__init__.py shared/__init__.py \
    && python3 -m venv /opt/batchmill \
    && /opt/batchmill/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt --editable '.[worker]'

FROM python:3.13.12-slim-trixie
LABEL org.opencontainers.image.title="batchmill-worker" \
    org.opencontainers.image.licenses="Apache-2.0"
# A named volume takes the owner of the folder it is first mounted over. The user needs no name.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/batchmill /run/batchmill
WORKDIR /app
COPY --from=build /opt/batchmill /opt/batchmill
COPY pyproject.toml LICENSE ./
COPY alembic alembic
COPY shared shared
COPY services services
ENV PATH=/opt/batchmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    BATCHMILL_DATA_DIR=/var/lib/batchmill \
    BATCHMILL_READY_FILE=/run/batchmill/ready
USER 10001:10001
STOPSIGNAL SIGTERM
# The file is there from the moment the process serves; a process that ends takes the container with it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["test", "-e", "/run/batchmill/ready"]
CMD ["batchmill", "worker", "--queues", "parse,extract"]
