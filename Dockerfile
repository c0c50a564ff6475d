# Serves a model: docker build -t rasa-core . &&
#     docker run -p 5005:5005 --user "$(id -u):$(id -g)" -e RASA_CORE_TOKEN=... -v "$PWD/bot:/bot" rasa-core
# The folder bot holds the models, such as models/dialogue and models/nlu; conversations are kept beside them, so that the
# user must be one who may write there: 10001 unless --user says another.

FROM python:3.12-slim AS build
COPY . /src
RUN pip wheel --no-cache-dir --wheel-dir /wheels "/src[sql,mysql,redis,jwt,metrics]"

FROM python:3.12-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "rasa-core[sql,mysql,redis,jwt,metrics]" \
    && useradd --create-home --home-dir /bot --uid 10001 rasa
USER rasa
WORKDIR /bot
EXPOSE 5005
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5005/health', timeout=4)"]
ENTRYPOINT ["rasa-core-serve"]
CMD ["-d", "models/dialogue", "-u", "models/nlu", "--host", "0.0.0.0", "--log_file", ""]
