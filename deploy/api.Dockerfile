# The API, and the commands for operators: it carries no parser and no client of a language model.
# Build it from the root of the repository: docker build -f deploy/api.Dockerfile .
FROM python:3.13.12-slim-trixie AS build
WORKDIR /app
# The packages of the project are empty here, so this layer is made again only when a dependency changes.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir services shared \
    && touch services/__init__.py shared/__init__.py \
    && python3 -m venv /opt/batchmill \
    && /opt/batchmill/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt --editable '.[api]'

FROM python:3.13.12-slim-trixie
LABEL org.opencontainers.image.title="batchmill-api" \
    org.opencontainers.image.licenses="Apache-2.0"
# A named volume takes the owner of the folder it is first mounted over. The user needs no name.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/batchmill /run/batchmill
WORKDIR /app
COPY --from=build /opt/batchmill /opt/batchmill
COPY pyproject.toml LICENSE ./
COPY alembic alembic
COPY shared shared
COPY services services
COPY docs/compatibility.md docs/
ENV PATH=/opt/batchmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    BATCHMILL_DATA_DIR=/var/lib/batchmill
USER 10001:10001
STOPSIGNAL SIGTERM
EXPOSE 8000
# Alive, not ready: an API whose database is away answers 503 by itself and needs no restart.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["batchmill", "api", "--host", "0.0.0.0", "--port", "8000"]
