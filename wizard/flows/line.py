"""The line: what exists after each step, as a row of things and what holds between them.

It is read as one sentence: AWS account *pays* Billing Center account *which settles* workspace *where you
sign in with* console account.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

from flask import current_app
from flask_babel import gettext as _

from wizard.billing import settlement
from wizard.billing.models import ACTIVE, CLOSED, DISSOLVED, CloudAccount, Subscription, Workspace
from wizard.billing.wording import cloud_account_kind, ended_on
from wizard.flows.models import Journey
from wizard.marketplaces import protocol as marketplaces
from wizard.sites import directory
from wizard.wording import NBSP, account_number


@dataclass(frozen=True)
class Item:
    """One of several things in one node. ``state`` as of a node."""

    state: str
    name: str


@dataclass(frozen=True)
class Node:
    """``kind``: cloud, billing, workspace, console. ``state``: exists, making, later, ended, locked.

    ``accent`` says that the details speak of what this page makes. ``parts`` stand below its title.
    """

    kind: str
    state: str
    title: str
    details: tuple[str, ...] = ()
    accent: bool = False
    parts: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Edge:
    """What holds between two neighbours: ``label`` in the rail, ``short`` where the line lies."""

    label: str
    short: str
    state: str = "dotted"
    up: bool = False


@dataclass(frozen=True)
class Line:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def product_title() -> str:
    return str(current_app.extensions["brand"].product_title)


def of_purchase(account: CloudAccount) -> Line:
    """The line of a buyer who has just arrived: one thing exists, the rest depends on the next answer."""
    cloud = marketplaces.of_account(account).words.cloud
    return join(
        cloud_node(account),
        Node("billing", "later", _("Billing Center account"), (_("Your answer decides this"),)),
        Node("workspace", "later", _("Workspaces"), (_("None paid by %(cloud)s yet", cloud=cloud),)),
    )


def of_registration(journey: Journey, step: str, brought: Subscription | None = None) -> Line:
    """The line of a registration as it stands on a step; ``brought`` is a purchase that waits to be confirmed there."""
    nodes = [_billing(journey, step), _workspace(journey, step), _console(journey, step)]
    if subscription := journey.subscription or brought:
        nodes.insert(0, cloud_node(subscription.cloud_account))
    elif journey.awaits is not None:
        first = next(iter(marketplaces.listed(journey.awaits)), None)
        title = str(first.words.account) if first else _("Cloud account")
        nodes.insert(0, Node("cloud", "later", title, (_("After you subscribe"),)))
    line = join(*nodes)
    if subscription and subscription.billing_account_id is None:
        # It pays for nothing yet, whatever account is there to be bound to.
        line = replace(line, edges=(replace(line.edges[0], state="dotted"), *line.edges[1:]))
    return line


def of_workspace(workspace: Workspace) -> Line:
    """The whole line of a workspace that was made: what pays or has ended, what settles, and who signs in."""
    nodes = [
        Node("billing", "exists", _("Billing Center account"), (workspace.billing_account.username,)),
        workspace_node(workspace),
        Node("console", "exists", _("Console account"), (workspace.owner.username,)),
    ]
    if workspace.state in (CLOSED, DISSOLVED):
        return _over(*nodes)
    if ended := settlement.lost(workspace):
        account = ended.cloud_account
        details = (account_number(account.account_id), ended_on(ended))
        gone = Node("cloud", "ended", cloud_account_kind(account), details)
        _settles, signs_in = join(*nodes).edges
        nothing = _("has nothing to settle with")
        edges = (Edge(_("no longer pays"), _("no longer pays"), "cut"), Edge(nothing, nothing))
        return Line((gone, *nodes), (*edges, replace(signs_in, state="solid")))
    if paying := settlement.payer(workspace):
        nodes.insert(0, cloud_node(paying.cloud_account))
    return join(*nodes)


def _over(billing: Node, workspace: Node, *others: Node) -> Line:
    """Nothing settles what is closed or dissolved."""
    settled = _("settled")
    whole = join(billing, workspace, *others)
    return replace(whole, edges=(Edge(settled, settled, "cut"), *whole.edges[1:]))


def of_settlement(workspace: Workspace, after: bool = False) -> Line:
    """What settles a workspace. ``after`` a change: with a cloud account that is still to be named."""
    name, site = workspace.name, str(directory.get(workspace.site_id).label)
    billing = Node("billing", "exists", _("Billing Center account"), (workspace.billing_account.username,))
    if after:
        cloud = Node("cloud", "making", _("Cloud account"), ("",), accent=True)
        return join(cloud, billing, Node("workspace", "exists", name, (site,)))
    if workspace.state in (CLOSED, DISSOLVED):
        return _over(billing, workspace_node(workspace))
    if ended := settlement.lost(workspace):
        gone = replace(cloud_node(ended.cloud_account), state="ended")
        whole = join(gone, billing, Node("workspace", "locked", name, (site, _("Locked"))))
        return replace(whole, edges=(Edge(_("no longer pays"), _("no longer pays"), "cut"), *whole.edges[1:]))
    nodes = [billing, Node("workspace", "exists", name, (site,))]
    if paying := settlement.payer(workspace):
        nodes.insert(0, cloud_node(paying.cloud_account))
    return join(*nodes)


def of_a_door() -> Line:
    """What somebody signs in to, and with what."""
    return join(
        Node("workspace", "exists", _("Workspace"), (_("Lives on one site"),)),
        Node("console", "exists", _("Console account"), (_("Belongs to the same site"),)),
    )


def of_the_billing_center() -> Line:
    """What the Billing Center is there for."""
    return join(
        Node("cloud", "exists", _("Cloud account"), (_("Registered there"),)),
        Node("billing", "exists", _("Billing Center account"), (_("One for your company"),)),
        Node("workspace", "exists", _("Workspaces"), (_("Many, on any site"),)),
    )


def workspace_node(workspace: Workspace) -> Node:
    """A workspace as far as it is made, locked or over."""
    if workspace.state in (CLOSED, DISSOLVED):
        over = _("Closed") if workspace.state == CLOSED else _("Dissolved")
        return Node("workspace", "ended", workspace.name, (over,))
    if settlement.is_locked(workspace):
        return Node("workspace", "locked", workspace.name, (_("Locked, still readable"),), accent=True)
    if workspace.state != ACTIVE:
        return Node("workspace", "making", workspace.name, (_("Being made"),), accent=True)
    language = {"en": _("English templates"), "zh": _("Chinese templates")}[workspace.language]
    return Node(
        "workspace", "exists", workspace.name, (str(directory.get(workspace.site_id).label), language)
    )


def cloud_node(account: CloudAccount) -> Node:
    """The cloud account that pays."""
    details = (account_number(account.account_id), product_title())
    return Node("cloud", "exists", cloud_account_kind(account), details)


def _billing(journey: Journey, step: str) -> Node:
    title = _("Billing Center account")
    if account := journey.billing_account or journey.offered_account:
        return Node("billing", "exists", title, (account.username,))
    if note := _made_when(step):
        return Node("billing", "making", title, (note,), accent=True)
    return Node("billing", "later", title, (_("Made at step %(number)s", number=3),))


def _made_when(step: str) -> str | None:
    return {"activation": _("Made when you activate"), "subscribe": _("Made when you confirm")}.get(step)


def _workspace(journey: Journey, step: str) -> Node:
    workspace = journey.workspace
    if workspace is None:
        if note := _made_when(step):
            return Node("workspace", "making", _("Workspace"), (note,), accent=True)
        return Node("workspace", "later", _("Workspace"), (_("Made at step %(number)s", number=3),))
    return workspace_node(workspace)


def _console(journey: Journey, step: str) -> Node:
    title = _("Console account")
    account = journey.console_account
    if account is not None:
        site = str(directory.get(account.site_id).label).replace(" ", NBSP)
        if step == "successful":
            return Node("console", "exists", title, (account.username, site))
        return Node(
            "console", "exists", title, (_("%(username)s on %(site)s", username=account.username, site=site),)
        )
    note = {
        "basic": _("You start it here"),
        "code": _("Waiting for your code"),
        "username": _("Waiting for a free name"),
    }.get(step, _("Made when you register"))
    return Node("console", "making", title, (note,), accent=True)


def join(*nodes: Node) -> Line:
    """The nodes with what holds between them."""
    return Line(nodes, tuple(_edge(one, other) for one, other in pairwise(nodes)))


def _edge(one: Node, other: Node) -> Edge:
    state = "solid" if one.state == other.state == "exists" else "dotted"
    if one.kind == "cloud":
        return Edge(_("pays"), _("pays"), state)
    if one.kind == "billing":
        return Edge(_("which settles"), _("settles"), state)
    return Edge(_("where you sign in with"), _("you sign in with"), state, up=True)
