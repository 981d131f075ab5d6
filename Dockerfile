# emovox as a server: docker build -t emovox . (docs/serve.md describes its use and its limits)
#
# The image contains one program, the libraries of libtorch for the CPU and the built-in model. Nothing in it needs
# to be written, so it runs with --read-only, as a user without rights and without capabilities.

FROM docker.io/library/rust:1-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# libtorch first: it changes less often than the code, so that Docker keeps this layer.
COPY scripts/setup.sh scripts/libtorch.sha256 scripts/
ENV EMOVOX_CACHE=/opt/emovox
RUN scripts/setup.sh --cpu
COPY . .
# Without symbols, the program has half of its size.
ENV CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=true
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin emovox \
    && mkdir -p /image/bin /image/lib \
    && cp target/release/emovox /image/bin/ \
    && cp -P .libtorch/lib/*.so* /image/lib/

FROM docker.io/library/debian:bookworm-slim
COPY --from=build /image/lib/ /usr/local/lib/
COPY --from=build /image/bin/ /usr/local/bin/
RUN ldconfig
# A number, so that Kubernetes can check that it is not root.
USER 10001:10001
WORKDIR /
ENV HOME=/tmp
EXPOSE 8080
# The image has no HTTP client; bash opens the connection.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && grep -q '\"ready\"' <&3"]
ENTRYPOINT ["emovox"]
# Everyone who can reach the container needs a token of this file.
CMD ["serve", "--address", "0.0.0.0:8080", "--token-file", "/run/secrets/emovox-tokens"]
