# One image for every part: `docker run IMAGE worker`, `receiver`, `api`, `simulator`, or any other command of sendline.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/sendline
WORKDIR /src
COPY pyproject.toml constraints.txt README.md CHANGELOG.md LICENSE ./
COPY examples examples
COPY producer producer
COPY worker worker
RUN /opt/sendline/bin/pip install -c constraints.txt .[worker,api]

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin sendline
COPY --from=build /opt/sendline /opt/sendline
ENV PATH=/opt/sendline/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# sendline.toml is read here, if one is mounted
WORKDIR /etc/sendline
USER sendline
ENTRYPOINT ["sendline"]
CMD ["--help"]
