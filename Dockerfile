# berth's image: one static binary and nothing else, for linux/amd64 and linux/arm64.
#   docker buildx build --build-arg BERTH_COMMIT=$(git rev-parse HEAD) -t berth .
# `make image` does it with what is there, without a docker engine and without a registry, too.
#
# The builder runs on the machine that builds, whatever the platform of the image. It needs Rust, bash and a C compiler
# (for build scripts), and of the target's standard library either the files or a rustup that can get them. The release
# of Rust is pinned: another gives another binary.
ARG BUILDER=docker.io/library/rust:1.95.0-slim-bookworm

FROM --platform=${BUILDPLATFORM} ${BUILDER} AS build
ENV CARGO_TERM_COLOR=never
WORKDIR /src
# Every target of the manifest says its path: without the sources this is a layer of its own, as old as the lock file.
COPY Cargo.toml Cargo.lock ./
RUN cargo fetch --locked --target x86_64-unknown-linux-musl
COPY build.rs ./
COPY scripts/build scripts/
COPY protos protos
COPY src src
ARG TARGETARCH
ARG BERTH_COMMIT=unknown
ARG SOURCE_DATE_EPOCH=0
# As many digits of the commit as a build in a checkout puts in.
RUN export BERTH_COMMIT=$(printf %.12s "$BERTH_COMMIT") && binary=$(scripts/build "$TARGETARCH") && \
    mkdir /out && install -m 755 "$binary" /out/berth && touch -d "@$SOURCE_DATE_EPOCH" /out/berth

FROM scratch
# tests/image.rs holds this to Cargo.toml.
ARG BERTH_VERSION=0.1.0
ARG BERTH_COMMIT=unknown
LABEL org.opencontainers.image.title="berth" \
      org.opencontainers.image.description="Sandbox identity and persistent network namespaces for sandboxed container runtimes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${BERTH_VERSION}" \
      org.opencontainers.image.revision="${BERTH_COMMIT}"
COPY --from=build /out/berth /berth
ENTRYPOINT ["/berth"]
CMD ["nri"]
