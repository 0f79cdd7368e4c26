# A portrait performs: docker run --rm -v "$PWD:/work" understudy animate me.jpg driving.mp4
#
# runs/bare_debian.sh does the same steps where there is no container engine; keep the two alike.
FROM python:3.11-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY understudy understudy
RUN pip wheel --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
ARG TORCH=no
COPY requirements /requirements
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --no-deps -r /requirements/run.txt /wheels/*.whl \
    && if [ "$TORCH" = yes ]; then pip install --no-cache-dir -r /requirements/torch.txt; fi \
    && rm -rf /wheels /requirements \
    && useradd --create-home understudy
USER understudy
WORKDIR /work
ENTRYPOINT ["understudy"]
CMD ["--help"]
