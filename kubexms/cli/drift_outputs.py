"""The reports of `kubexms drift`: which there are, and where they go."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from kubexms.cli.app import App

if TYPE_CHECKING:
    from kubexms.config.secrets import SecretResolver
    from kubexms.plan.driftreport import DriftReport
    from kubexms.services.outputs import Output, Webhook

STDOUT = "-"

_OPTIONS = (
    click.option(
        "--json",
        "json_files",
        multiple=True,
        is_flag=False,
        flag_value=STDOUT,
        metavar="[FILE]",
        help="Write JSON, without FILE (or with -) to standard output instead of text.",
    ),
    click.option("--junit", "junit_files", multiple=True, metavar="FILE", help="Write JUnit XML."),
    click.option(
        "--metrics",
        "metrics_files",
        multiple=True,
        metavar="FILE.prom",
        help="Write metrics for the textfile collector of Prometheus' node_exporter.",
    ),
    click.option(
        "--html", "html_files", multiple=True, metavar="FILE", help="Write one page that needs no other."
    ),
    click.option(
        "--webhook",
        "webhooks",
        multiple=True,
        metavar="URL",
        help="Send JSON there, which chat services show, unless all is clean. A secret: '{env: NAME}'.",
    ),
    click.option(
        "--webhook-header",
        "webhook_headers",
        multiple=True,
        metavar="NAME=VALUE",
        help="Send this header along: 'Authorization=Bearer {env: TOKEN}' (or file:, command:).",
    ),
    click.option("--webhook-always", is_flag=True, help="Send also when all is clean."),
)


@dataclass(frozen=True, slots=True)
class DriftOutputs:
    """What was asked for. Paths are relative to the directory of `-C`."""

    json_files: tuple[str, ...] = ()
    junit_files: tuple[str, ...] = ()
    metrics_files: tuple[str, ...] = ()
    html_files: tuple[str, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    webhook_always: bool = False

    @property
    def on_stdout(self) -> bool:
        """Whether standard output is a report's."""
        return STDOUT in self.json_files

    def deliver(self, app: App, report: DriftReport, resolver: Callable[[], SecretResolver]) -> bool:
        """Make all reports; says what failed, and returns whether something did."""
        from kubexms.cli.main import show_error
        from kubexms.services.outputs import deliver

        failed = deliver(self._all(app, report, resolver))
        for error in failed:
            show_error(app, error)
        return bool(failed)

    def _all(self, app: App, report: DriftReport, resolver: Callable[[], SecretResolver]) -> Iterator[Output]:
        from kubexms.services.outputs import write_file

        for name, view in self._files():

            def output(name: str = name, view: Callable[[DriftReport], str] = view) -> None:
                if name == STDOUT:
                    app.write(view(report))
                else:
                    write_file(app.path(name), view(report))

            yield output
        if self.webhooks and (self.webhook_always or report.exit_code or report.repaired):
            from kubexms.views.drift_message import drift_message

            for hook in self.webhooks:
                yield functools.partial(lambda hook: hook.send(drift_message(report), resolver()), hook)

    def _files(self) -> Iterator[tuple[str, Callable[[DriftReport], str]]]:
        if self.json_files:
            from kubexms.views.drift_json import drift_json
            from kubexms.views.jsontext import document

            yield from ((name, lambda report: document(drift_json(report))) for name in self.json_files)
        if self.junit_files:
            from kubexms.views.drift_junit import drift_junit

            yield from ((name, drift_junit) for name in self.junit_files)
        if self.metrics_files:
            from kubexms.views.drift_metrics import drift_metrics

            yield from ((name, drift_metrics) for name in self.metrics_files)
        if self.html_files:
            from kubexms.views.html.drift import drift_html

            yield from ((name, drift_html) for name in self.html_files)


def output_files(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options for reports; the command gets them as `outputs`."""

    @functools.wraps(function)
    def command(*args: Any, **options: Any) -> Any:
        names = ("json_files", "junit_files", "metrics_files", "html_files", "webhook_always")
        given = {name: options.pop(name) for name in names}
        for name in given["metrics_files"]:
            if not name.endswith(".prom"):
                raise click.BadParameter(
                    f"'{name}' does not end in .prom: the textfile collector would not read it",
                    param_hint="--metrics",
                )
        hooks = _webhooks(options.pop("webhooks"), options.pop("webhook_headers"))
        return function(*args, outputs=DriftOutputs(webhooks=hooks, **given), **options)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _webhooks(urls: tuple[str, ...], given: tuple[str, ...]) -> tuple[Webhook, ...]:
    if not urls:
        if given:
            raise click.UsageError("--webhook-header goes with --webhook.")
        return ()
    from kubexms.config.givensecret import parse_given
    from kubexms.services.outputs import Webhook

    headers = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            # the text may be a secret that was given as it is
            raise click.BadParameter("one of them is not NAME=VALUE", param_hint="--webhook-header")
        headers.append((name.strip(), parse_given(value, f"--webhook-header {name.strip()}")))
    return tuple(Webhook(parse_given(url, "--webhook"), tuple(headers)) for url in urls)
