# syntax=docker/dockerfile:1
# Countersign alone in a small image: no shell, no package manager, no root.

FROM rust:1.95.0-bookworm AS build
WORKDIR /source
COPY . .
# Crates and compiled dependencies stay in the builder's cache: a change of ours compiles ours.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --locked --release --bin countersign \
    && install -D target/release/countersign /image/usr/local/bin/countersign \
    && install -d -m 0700 -o 65532 -g 65532 /image/var/lib/countersign

# The C library and the certificate roots, and nothing else.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image /
ENV COUNTERSIGN__DATA=/var/lib/countersign \
    COUNTERSIGN__LISTEN=0.0.0.0:8080
USER 65532:65532
WORKDIR /var/lib/countersign
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["countersign", "healthcheck"]
ENTRYPOINT ["countersign"]
