# syntax=docker/dockerfile:1
# The program and what it needs to be run. No privileges are needed where a container may make user
# namespaces; `docker run partita doctor` says which lab there is, and what would allow a better one.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin partita

FROM debian:bookworm-slim
COPY --from=build /src/target/release/partita /usr/local/bin/partita
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/partita/
RUN useradd --create-home partita
USER partita
WORKDIR /home/partita
ENTRYPOINT ["partita"]
CMD ["--help"]
