# AppA and AppB as images: `docker build --target app-a .` and `--target app-b`. docs/OPERATIONS.md, "Containers", says
# what they need. Any builder will do, the classic one too.
#
# PROFILE is the profile of cargo: release, or quick, which is built sooner and runs slower.

# ---- The web interface, which the apps embed.
FROM node:22-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
COPY web/ ./
RUN npm run --silent build

# ---- Both apps. What they depend on comes first, in a layer that stays until a manifest changes.
FROM rust:1.95-bookworm AS build
ARG PROFILE=release
ENV CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo/ .cargo/
COPY crates/shared/Cargo.toml crates/shared/
COPY crates/messenger/Cargo.toml crates/messenger/
COPY crates/app-a/Cargo.toml crates/app-a/
COPY crates/app-b/Cargo.toml crates/app-b/
COPY crates/bench/Cargo.toml crates/bench/
COPY crates/e2e/Cargo.toml crates/e2e/
RUN for crate in crates/*; do mkdir "$crate/src" && touch "$crate/src/lib.rs"; done \
 && for bin in app-a app-b bench; do echo 'fn main() {}' > "crates/$bin/src/main.rs"; done \
 && cargo build --locked --profile "$PROFILE" --bins -p app-a -p app-b \
 && rm -rf crates
COPY crates/ crates/
COPY --from=web /src/web/dist/ web/dist/
# Files come with the times that they have in the context, which may lie before those of the empty ones above.
RUN find crates -type f -exec touch {} + \
 && cargo build --locked --profile "$PROFILE" --bins -p app-a -p app-b \
 && mkdir -p /out/data /out/secrets/shared /out/secrets/app-a /out/secrets/app-b \
      /out/secrets/database-a /out/secrets/database-b /out/secrets/redis \
 && cp target/*/app-a target/*/app-b /out/

# ---- What runs: glibc, the certificates of public authorities, a user without rights, and one binary. No shell.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
# A volume that is mounted here for the first time belongs to the app's user, as these folders do.
COPY --from=build --chown=65532:65532 /out/data/ /data/
COPY --from=build --chown=65532:65532 /out/secrets/ /secrets/
USER 65532:65532
WORKDIR /data
ENV DATA_DIR=/data
STOPSIGNAL SIGTERM

FROM runtime AS app-a
COPY --from=build /out/app-a /usr/local/bin/app-a
ENV BIND_ADDR=0.0.0.0:8001
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/app-a", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/app-a"]
CMD ["serve"]

FROM runtime AS app-b
COPY --from=build /out/app-b /usr/local/bin/app-b
ENV BIND_ADDR=0.0.0.0:8002
EXPOSE 8002
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/app-b", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/app-b"]
CMD ["serve"]
