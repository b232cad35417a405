# The one binary with its web parts. docker build --build-arg VERSION=1.2.3 -t parley .
FROM node:22-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
COPY web/sdk/package.json sdk/
COPY web/demo/package.json demo/
COPY web/console/package.json console/
COPY web/e2e/package.json e2e/
RUN npm ci --no-audit --no-fund --loglevel=error
COPY web/ ./
RUN npm run --silent build

FROM golang:1.26-bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libopus-dev pkg-config && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=web /src/web/dist web/dist
ARG VERSION=dev
RUN CGO_LDFLAGS=-lm go build -trimpath -tags opus,nolibopusfile -ldflags "-s -w -X parley/internal/app.Version=$VERSION" -o /parley ./cmd/parley

FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/parley --create-home parley
COPY --from=build /parley /usr/local/bin/parley
COPY configs/default.yaml configs/cluster.yaml /etc/parley/
USER 10001
WORKDIR /var/lib/parley
EXPOSE 8080 3478/tcp 3478/udp 7882/udp
ENTRYPOINT ["parley"]
CMD ["serve", "--config", "/etc/parley/default.yaml"]
