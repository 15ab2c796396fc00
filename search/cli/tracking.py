"""Commands `ui` and `sync`: MLflow's web pages, and delivery of undelivered results."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from search.cli.app import Debug, Folder, Json, command


@command()
def ui(
    folder: Folder,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the pages.")] = 5000,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser, if there is a display.")] = True,
    debug: Debug = False,
) -> None:
    """Open MLflow's web pages for a study. They are served on this machine only."""
    import webbrowser

    from search.monitor.messages import note
    from search.store.tracking_uri import chosen_by_study, client_uri, configured_uri, existing_store, store_uri
    from search.tracking.browser import can_open, open_later
    from search.tracking.ui import check_port, is_server, page_address, ui_arguments, ui_command

    uri = configured_uri(folder)
    store = store_uri(folder, uri)
    if is_server(store):
        if chosen := chosen_by_study(folder, uri):
            note(f"these are the pages of {chosen} (tracking.uri of the study)")
        address = ui_command(folder, uri)
        typer.echo(address)
        if browser and can_open():
            webbrowser.open(address)
        return
    client = client_uri(existing_store(store))
    check_port(port)
    address = page_address(folder, store, f"http://127.0.0.1:{port}")
    typer.echo(f"MLflow's pages: {address} (Ctrl-C stops them)", err=True)
    if browser and can_open():
        open_later(address)
    program, variables = ui_arguments(client, port)
    os.chdir("/")  # MLflow's server would execute a `fastapi.py` in the working directory
    os.execve(program[0], program, {**os.environ, **variables})


@command()
def sync(
    folder: Folder,
    timeout: Annotated[float, typer.Option(min=1, max=86400, help="Give up after this many seconds.")] = 30,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Send undelivered results to MLflow. Needed if its server was unreachable during a study."""
    from search.cli.console import print_json
    from search.monitor.messages import note
    from search.store.tracking_uri import chosen_by_study, configured_uri
    from search.tracking.supervisor import sync

    uri = configured_uri(folder)
    if chosen := chosen_by_study(folder, uri):
        note(f"results are sent to {chosen} (tracking.uri of the study)")
    state = sync(folder, uri, timeout)
    if json:
        print_json(state)
    else:
        typer.echo(str(state))
    if not state.complete:
        raise typer.Exit(1)
