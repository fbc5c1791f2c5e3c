"""The Flask app that both wings share: health, reload, metrics, landing page and the API's document."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from flask import Blueprint, Response, g, redirect, render_template_string, request, url_for
from flask.typing import ResponseReturnValue
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from flask_openapi3_swagger.plugins import RegisterPlugin  # type: ignore[import-untyped] # it has no types
from flask_openapi3_swagger.templates import swagger_html_string  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry, Counter, Histogram

from presagio.toolkit import httperrors
from presagio.toolkit.errors import PresagioError
from presagio.toolkit.log import Log
from presagio.toolkit.webconfig import SECURITY_SCHEMES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_BODY = 1 << 20

_LINKS = {"/metrics": "metrics", "/docs": "API", "/-/healthy": "health", "/-/ready": "readiness"}
_LANDING = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<title>{{ site.title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } a { color: #0b57d0 } code { background: #f2f2f2; padding: 0 .3em }
</style>
</head>
<body>
<h1>{{ site.title }}</h1>
<p>{{ site.description }}</p>
<ul>{% for href, text in links.items() %}<li><a href="{{ href[1:] }}">{{ text }}</a> <code>{{ href }}</code></li>{% endfor %}</ul>
<p>version {{ version }}</p>
</body>
</html>
"""  # noqa: E501 # HTML


@dataclass(frozen=True)
class Site:
    """What a wing's app is made of.

    `metrics` returns the whole page in Prometheus' text format; `ready` returns the reason why the wing is not ready,
    or None; `reload` accepts a new configuration or raises PresagioError with the report. With `landing` off, `/` is
    the wing's own.
    """

    title: str
    description: str
    metrics: Callable[[], bytes]
    ready: Callable[[], str | None]
    reload: Callable[[], None]
    links: Mapping[str, str] = field(default_factory=dict)
    landing: bool = True
    max_body: int = MAX_BODY


def create(site: Site, registry: CollectorRegistry, log: Log) -> OpenAPI:
    """Return the app; its own metrics go to `registry`. Add APIs with `app.register_api(blueprint)`."""
    app = OpenAPI(
        "presagio",
        info=Info(title=site.title, version=version("presagio"), description=site.description),
        security_schemes=dict(SECURITY_SCHEMES),
        validation_error_callback=httperrors.refuse,
        validation_error_model=httperrors.RefusalBody,
        doc_ui=False,
        static_folder=None,
    )
    app.request_class = httperrors.JsonRequest
    app.config["MAX_CONTENT_LENGTH"] = site.max_body
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined] # of the provider that is the default
    httperrors.install(app, log)
    _measure(app, registry)
    _document(app)
    app.register_blueprint(_management(site))
    return app


def _document(app: OpenAPI) -> None:
    """Show the browsable document at /docs; nothing of it comes from outside."""
    # The validator's badge would be fetched from its makers' server.
    app.config["SWAGGER_CONFIG"] = {"validatorUrl": None, "layout": "BaseLayout", "defaultModelsExpandDepth": 0}
    app.config["SWAGGER_HTML_STRING"] = swagger_html_string.replace("Swagger UI", f"{app.info.title} API")
    app.register_blueprint(RegisterPlugin.register(doc_url="../openapi.json"), url_prefix="/docs")
    app.add_url_rule("/docs", "docs", lambda: redirect(url_for("swagger.swagger")), strict_slashes=False)
    app.add_url_rule("/openapi.json", "openapi_json", lambda: app.api_doc)


def _management(site: Site) -> Blueprint:
    pages = Blueprint("management", __name__)

    @pages.get("/-/healthy")
    def healthy() -> ResponseReturnValue:
        return _text(f"{site.title} is healthy.\n")

    @pages.get("/-/ready")
    def ready() -> ResponseReturnValue:
        reason = site.ready()
        return _text(f"not ready: {reason}\n", 503) if reason else _text(f"{site.title} is ready.\n")

    @pages.post("/-/reload")
    def reload() -> ResponseReturnValue:
        try:
            site.reload()
        except PresagioError as error:
            return _text(f"{error}\n", 500)
        return _text("the configuration is valid and will be used from now on.\n")

    @pages.get("/metrics")
    def metrics() -> ResponseReturnValue:
        return _page(site.metrics())

    if site.landing:
        pages.add_url_rule("/", "landing", lambda: _landing(site))
    return pages


def _landing(site: Site) -> str:
    return render_template_string(_LANDING, site=site, links={**_LINKS, **site.links}, version=version("presagio"))


def _text(text: str, code: int = 200) -> Response:
    return Response(text, code, mimetype="text/plain")


def _page(text: bytes) -> Response:
    """Return a metrics page, compressed if the client can read that."""
    response = Response(text, content_type=CONTENT_TYPE)
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0:
        # Level 1: a page is compressed at each scrape, and mostly travels within a cluster.
        response.set_data(gzip.compress(text, compresslevel=1))
        response.content_encoding = "gzip"
    return response


def _measure(app: OpenAPI, registry: CollectorRegistry) -> None:
    """Count and time requests by the rule that they matched, which bounds the number of series."""
    requests = Counter("presagio_http_requests", "HTTP requests answered.", ["handler", "code"], registry=registry)
    duration = Histogram(
        "presagio_http_request_duration_seconds",
        "Time to answer an HTTP request.",
        ["handler"],
        buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
        registry=registry,
    )

    def begin() -> None:
        g.begun = time.perf_counter()

    def count(response: Response) -> Response:
        handler = request.url_rule.rule if request.url_rule else "unmatched"
        requests.labels(handler, str(response.status_code)).inc()
        duration.labels(handler).observe(time.perf_counter() - g.begun)
        return response

    app.before_request(begin)
    app.after_request(count)
