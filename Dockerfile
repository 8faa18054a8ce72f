# The berth image: one static binary and nothing else.
#   docker build --build-arg BERTH_COMMIT=$(git rev-parse --short=12 HEAD) -t berth .
ARG BUILDER=docker.io/library/rust:1-slim-bookworm
FROM ${BUILDER} AS build
ARG BERTH_COMMIT=unknown
ARG SOURCE_DATE_EPOCH=0
ENV BERTH_COMMIT=${BERTH_COMMIT} SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} CARGO_TERM_COLOR=never
WORKDIR /src
RUN rustup target add "$(uname -m)-unknown-linux-musl"
COPY Cargo.toml Cargo.lock build.rs ./
COPY protos protos
COPY src src
COPY benches benches
RUN cargo build --locked --release --target "$(uname -m)-unknown-linux-musl" \
    && install -D "target/$(uname -m)-unknown-linux-musl/release/berth" /out/berth \
    # Engines say /var/run/netns and /var/run/nri; on their nodes /var/run is a link.
    && mkdir -p /out/var && ln -s ../run /out/var/run

FROM scratch
LABEL org.opencontainers.image.title="berth" \
      org.opencontainers.image.description="Sandbox identity and persistent network namespaces for sandboxed container runtimes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
ENTRYPOINT ["/berth"]
CMD ["nri"]
