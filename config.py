"""Every setting, read once from environment variables.

What is optional and missing switches its feature off with a line in the log (see ``Settings.notices``);
what is wrong stops the start with one sentence that names the variable and what it wants.
"""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import botocore.session

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent

ARGON2_SAFE_TIME_COST = 2
ARGON2_SAFE_MEMORY_KIB = 19 * 1024
"""OWASP's floor for argon2id with p=1 (Password Storage cheat sheet)."""

SANDBOX_PRODUCT_CODES = {
    "aws": ("payg-7f3k2m9q4x",),
    "aws-cn": ("payg-cn-4w9t1r8e6y",),
    "aws-eusc": ("payg-eusc-5d2g7h3j1k",),
}
"""What the sandbox sells in each partition."""

LICENCE, LEGACY = "licence", "legacy"


class SettingsError(Exception):
    """A setting that cannot be used; the message is one sentence for the person who starts the service."""


@dataclass(frozen=True)
class AwsPartition:
    """One AWS partition, and how one seller account sells in it. Its variables begin with ``prefix``.

    Empty addresses are AWS's own, empty keys are the machine's identity. ``region``: of metering and STS;
    ``agreement_region``: the one that answers for agreements, "" where the partition has no such service;
    ``identifiers``: what tells two purchases apart, "licence" (agreement, else licence ARN) or "legacy"
    (customer identifier and product code); ``manage_url``: where buyers see their subscriptions;
    ``dns_suffix``: what the names of AWS's own hosts end in. ``sns_topics`` (ARNs) and ``sqs_queues`` (URLs) bring
    its messages; where ``sns_endpoint`` is set, certificates of SNS are taken from there and nowhere else.
    """

    name: str
    prefix: str
    region: str
    agreement_region: str
    identifiers: str
    manage_url: str
    dns_suffix: str = "amazonaws.com"
    product_codes: tuple[str, ...] = ()
    sns_topics: tuple[str, ...] = ()
    sqs_queues: tuple[str, ...] = ()
    marketplace_url: str = ""
    metering_endpoint: str = ""
    entitlement_endpoint: str = ""
    agreement_endpoint: str = ""
    sts_endpoint: str = ""
    sns_endpoint: str = ""
    sqs_endpoint: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    role_arn: str = ""
    external_id: str = field(default="", repr=False)

    @property
    def tells_contacts(self) -> bool:
        """Whether agreements are asked who the buyer is: in ``aws`` always, in China never. In the European Sovereign
        Cloud AWS's own sample says that their details are not available, so there only at an endpoint that is named.
        """
        return self.name == "aws" or bool(self.agreement_endpoint)

    def variable(self, name: str) -> str:
        return f"{self.prefix}_{name}"

    def check(self) -> None:
        """What only shows when several variables are seen together. Raises :class:`SettingsError`."""
        of = self.variable
        if self.region not in _metering_regions(self.name):
            raise SettingsError(
                f"{of('MARKETPLACE_REGION')} wants a region of partition {self.name} that has the metering "
                f"service, and it is {self.region!r}."
            )
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise SettingsError(
                f"{of('MARKETPLACE_ACCESS_KEY_ID')} and {of('MARKETPLACE_SECRET_ACCESS_KEY')} want to be set "
                "together, or neither where the machine has a role of its own."
            )
        if self.role_arn and not self.role_arn.startswith(f"arn:{self.name}:"):
            raise SettingsError(
                f"{of('MARKETPLACE_ROLE_ARN')} wants a role of partition {self.name}, because no role reaches "
                f"across partitions, and it is {self.role_arn!r}."
            )
        if self.external_id and not self.role_arn:
            raise SettingsError(
                f"{of('MARKETPLACE_EXTERNAL_ID')} wants {of('MARKETPLACE_ROLE_ARN')} to be set too: it belongs "
                "to the role that is taken on."
            )
        if self.agreement_endpoint and not self.agreement_region:
            raise SettingsError(
                f"{of('MARKETPLACE_AGREEMENT_ENDPOINT')} wants to be left out: partition {self.name} has no "
                "agreement service."
            )


AWS_PARTITIONS = (
    AwsPartition(
        "aws", "AWS", "us-east-1", "us-east-1", LICENCE, "https://aws.amazon.com/marketplace/management"
    ),
    AwsPartition(
        "aws-cn",
        "AWS_CN",
        "cn-northwest-1",
        "",
        LEGACY,
        "https://awsmarketplace.amazonaws.cn/marketplace",
        "amazonaws.com.cn",
    ),
    AwsPartition(
        "aws-eusc",
        "AWS_EUSC",
        "eusc-de-east-1",
        "eusc-de-east-1",
        LICENCE,
        "https://console.amazonaws-eusc.eu/",
        "amazonaws.eu",
    ),
)
"""The partitions AWS Marketplace is in, with their defaults (botocore 1.44: ``endpoints.json``, and for the
agreement service its endpoint rules; China's guideline site names CustomerIdentifier and ProductCode only)."""


@dataclass(frozen=True)
class Settings:
    """The configuration of one process. Lengths of time are in seconds unless the name says otherwise."""

    secret_key: str = field(repr=False)
    database_url: str = field(repr=False)
    public_url: str = "http://127.0.0.1:5000"
    port: int = 5000
    instance_path: str = str(ROOT / "instance")
    brand_file: str = str(ROOT / "brand.toml")

    sandbox: bool = False
    sandbox_origin: str = ""
    sandbox_database: str = ""

    mail_server: str = ""
    mail_port: int = 25
    mail_use_tls: bool = False
    mail_use_ssl: bool = False
    mail_username: str = ""
    mail_password: str = field(default="", repr=False)
    mail_sender: str = ""

    aws_partitions: Mapping[str, AwsPartition] = field(default_factory=dict)

    ratelimit_enabled: bool = True
    trusted_proxies: int = 0
    argon2_time_cost: int = ARGON2_SAFE_TIME_COST
    argon2_memory_kib: int = ARGON2_SAFE_MEMORY_KIB
    log_format: str = "text"
    metrics_directory: str = ""
    password_breach_url: str = ""

    settlement_change_interval_days: int = 30
    settlement_leave_active_subscription: bool = False
    aws_on_cancel: str = "lock"
    reminder_after_hours: int = 24

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read and check every variable. Raises :class:`SettingsError` with one sentence."""
        read = _Reader(env)
        sandbox = read.flag("SANDBOX", False)
        port = read.number("PORT", 5000, least=1, most=65535)
        instance = Path(env.get("INSTANCE_PATH") or ROOT / "instance").resolve()
        try:
            instance.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"INSTANCE_PATH wants a directory that can be made: {error.strerror}."
            ) from None
        settings = cls(
            secret_key=_secret(env, sandbox, instance),
            database_url=read.database("DATABASE_URL", f"sqlite:///{instance / 'wizard.db'}"),
            public_url=read.origin("PUBLIC_URL", f"http://127.0.0.1:{port}"),
            port=port,
            instance_path=str(instance),
            brand_file=read.file("BRAND_FILE", str(ROOT / "brand.toml")),
            sandbox=sandbox,
            sandbox_origin=read.origin("SANDBOX_ORIGIN", f"http://localhost:{port}") if sandbox else "",
            sandbox_database=env.get("SANDBOX_DATABASE") or str(instance / "sandbox.db"),
            mail_server=env.get("MAIL_SERVER", ""),
            mail_port=read.number("MAIL_PORT", 25, least=1, most=65535),
            mail_use_tls=read.flag("MAIL_USE_TLS", False),
            mail_use_ssl=read.flag("MAIL_USE_SSL", False),
            mail_username=env.get("MAIL_USERNAME", ""),
            mail_password=env.get("MAIL_PASSWORD", ""),
            mail_sender=read.email("MAIL_SENDER", ""),
            aws_partitions={p.name: read.aws_partition(p, sandbox, port) for p in AWS_PARTITIONS},
            ratelimit_enabled=read.flag("RATELIMIT_ENABLED", True),
            trusted_proxies=read.number("TRUSTED_PROXIES", 0, least=0, most=10),
            argon2_time_cost=read.number("ARGON2_TIME_COST", ARGON2_SAFE_TIME_COST, least=1, most=20),
            argon2_memory_kib=read.number(
                "ARGON2_MEMORY_KIB", ARGON2_SAFE_MEMORY_KIB, least=8, most=4 * 1024**2
            ),
            log_format=read.one_of("LOG_FORMAT", ("text", "json")),
            metrics_directory=read.directory("PROMETHEUS_MULTIPROC_DIR"),
            settlement_change_interval_days=read.number("SETTLEMENT_CHANGE_INTERVAL_DAYS", 30, 0, 3650),
            settlement_leave_active_subscription=read.flag("SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION", False),
            aws_on_cancel=read.one_of("AWS_ON_CANCEL", ("lock", "billing_center")),
            reminder_after_hours=read.number("REMINDER_AFTER_HOURS", 24, 0, 24 * 29),
            password_breach_url=read.url("PASSWORD_BREACH_URL", "").rstrip("/"),
        )
        settings.check()
        return settings

    def check(self) -> None:
        """What only shows when several settings are seen together. Raises :class:`SettingsError`."""
        if not self.sandbox and (
            self.argon2_time_cost < ARGON2_SAFE_TIME_COST or self.argon2_memory_kib < ARGON2_SAFE_MEMORY_KIB
        ):
            raise SettingsError(
                f"ARGON2_TIME_COST wants at least {ARGON2_SAFE_TIME_COST} and ARGON2_MEMORY_KIB at least "
                f"{ARGON2_SAFE_MEMORY_KIB} where SANDBOX is not 1."
            )
        if self.mail_use_tls and self.mail_use_ssl:
            raise SettingsError("MAIL_USE_TLS and MAIL_USE_SSL exclude each other: set one of them to 1.")
        for partition in self.aws_partitions.values():
            partition.check()
        by_machine = [p for p in self.aws_partitions.values() if p.product_codes and not p.access_key_id]
        if len(by_machine) > 1:
            names = " or ".join(p.variable("MARKETPLACE_ACCESS_KEY_ID") for p in by_machine)
            raise SettingsError(
                f"{names} wants to be set: the machine's own identity is of one partition, and "
                f"{' and '.join(p.name for p in by_machine)} rely on it."
            )

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")

    def notices(self) -> list[str]:
        """One clear line for each optional feature that is off, for the log at start."""
        lines = []
        for p in self.aws_partitions.values():
            if not p.product_codes:
                lines.append(
                    f"AWS Marketplace is off in partition {p.name}: {p.variable('PRODUCT_CODES')} lists no product."
                )
            elif not p.marketplace_url:
                lines.append(
                    f"Nobody is led to your listing in partition {p.name}: {p.variable('MARKETPLACE_URL')} is not "
                    "set, so buyers arrive from AWS only."
                )
            if p.product_codes and not p.sns_topics and not p.sqs_queues:
                lines.append(
                    f"Nobody tells what is cancelled in partition {p.name}: neither {p.variable('SQS_QUEUES')} nor "
                    f"{p.variable('SNS_TOPICS')} is set."
                )
        if self.sandbox and urlsplit(self.public_url).hostname not in ("127.0.0.1", "localhost", "::1"):
            lines.append(
                "The sandbox is on: its mailbox shows every mail to anybody who can reach this server."
            )
        if not self.mail_server:
            lines.append("Mail is off: MAIL_SERVER is not set, messages wait in the outbox.")
        if not self.password_breach_url:
            lines.append("Stolen passwords are not looked up: PASSWORD_BREACH_URL is not set.")
        return lines


class _Reader:
    """Typed reading of environment variables, one sentence for each thing that is wrong."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def _read(self, name: str, default: T, convert: Callable[[str], T], wants: str) -> T:
        raw = self._env.get(name, "").strip()
        if not raw:
            return default
        try:
            return convert(raw)
        except (ValueError, KeyError):
            # An address may hold a password, and this sentence ends in a log.
            secret = name == "DATABASE_URL" or re.search(":(?!//).*@", raw)
            told = "" if secret else f", and it is {raw!r}"
            raise SettingsError(f"{name} wants {wants}{told}.") from None

    def flag(self, name: str, default: bool) -> bool:
        values = {"1": True, "0": False, "true": True, "false": False}
        return self._read(name, default, lambda raw: values[raw.lower()], "1 or 0")

    def number(self, name: str, default: int, least: int, most: int) -> int:
        def convert(raw: str) -> int:
            value = int(raw)
            if not least <= value <= most:
                raise ValueError
            return value

        return self._read(name, default, convert, f"a whole number from {least} to {most}")

    def words(
        self, name: str, default: tuple[str, ...] = (), pattern: str = ".+", of: str = ""
    ) -> tuple[str, ...]:
        def convert(raw: str) -> tuple[str, ...]:
            found = tuple(word.strip() for word in raw.split(",") if word.strip())
            if not found or not all(re.fullmatch(pattern, word) for word in found):
                raise ValueError
            return found

        return self._read(name, default, convert, f"a comma-separated list{of}")

    def one_of(self, name: str, values: tuple[str, ...], default: str = "") -> str:
        return self._read(
            name, default or values[0], lambda raw: values[values.index(raw)], " or ".join(values)
        )

    def text(self, name: str, default: str, pattern: str, wants: str) -> str:
        def convert(raw: str) -> str:
            if not re.fullmatch(pattern, raw):
                raise ValueError
            return raw

        return self._read(name, default, convert, wants)

    def aws_partition(self, of: AwsPartition, sandbox: bool, port: int) -> AwsPartition:
        """A partition's defaults with what its variables say. The sandbox sells in every partition."""
        codes: tuple[str, ...] = ()
        if sandbox:
            stands_in = f"http://localhost:{port}/sandbox/{of.name}/"
            codes = SANDBOX_PRODUCT_CODES[of.name]
            of = replace(
                of,
                marketplace_url=stands_in,
                manage_url=f"{stands_in}software",
                access_key_id="sandbox",
                secret_access_key="sandbox",
            )

        def address(name: str, default: str = "") -> str:
            return self.url(of.variable(f"MARKETPLACE_{name}"), default)

        def word(name: str, default: str, pattern: str = r"\S+", wants: str = "one word") -> str:
            return self.text(of.variable(f"MARKETPLACE_{name}"), default, pattern, wants)

        at_aws = re.escape(of.dns_suffix)
        queue = (
            r"https?://\S+"
            if address("SQS_ENDPOINT")
            else rf"https://sqs\.[a-z0-9-]+\.{at_aws}/\d{{12}}/[\w-]+"
        )
        return replace(
            of,
            product_codes=self.words(of.variable("PRODUCT_CODES"), codes),
            sns_topics=self.words(
                of.variable("SNS_TOPICS"),
                pattern=rf"arn:{of.name}:sns:[a-z0-9-]+:\d{{12}}:[\w-]+",
                of=f" of topics such as arn:{of.name}:sns:{of.region}:111122223333:name",
            ),
            sqs_queues=self.words(
                of.variable("SQS_QUEUES"),
                pattern=queue,
                of=f" of queues such as https://sqs.{of.region}.{of.dns_suffix}/111122223333/name",
            ),
            region=word("REGION", of.region),
            identifiers=self.one_of(
                of.variable("MARKETPLACE_IDENTIFIERS"), (LICENCE, LEGACY), of.identifiers
            ),
            marketplace_url=address("URL", of.marketplace_url),
            metering_endpoint=address("ENDPOINT"),
            **{
                f"{service}_endpoint": address(f"{service.upper()}_ENDPOINT")
                for service in ("entitlement", "agreement", "sts", "sns", "sqs")
            },
            access_key_id=word("ACCESS_KEY_ID", of.access_key_id),
            secret_access_key=self._env.get(of.variable("MARKETPLACE_SECRET_ACCESS_KEY"), "").strip()
            or of.secret_access_key,
            role_arn=word("ROLE_ARN", "", _ROLE_ARN, "a role such as arn:aws:iam::111122223333:role/seller"),
            external_id=self._env.get(of.variable("MARKETPLACE_EXTERNAL_ID"), "").strip(),
        )

    def file(self, name: str, default: str) -> str:
        def convert(raw: str) -> str:
            if not Path(raw).is_file():
                raise ValueError
            return raw

        return self._read(name, default, convert, "a file that can be read")

    def directory(self, name: str) -> str:
        def convert(raw: str) -> str:
            if not os.access(raw, os.W_OK | os.X_OK) or not Path(raw).is_dir():
                raise ValueError
            return raw

        return self._read(name, "", convert, "a directory that can be written")

    def origin(self, name: str, default: str) -> str:
        def convert(raw: str) -> str:
            parts = urlsplit(_address(raw).rstrip("/"))
            if parts.path or parts.query or parts.fragment:
                raise ValueError
            return raw.rstrip("/")

        return self._read(name, default, convert, "an origin such as https://join.example.com")

    def url(self, name: str, default: str) -> str:
        return self._read(
            name,
            default,
            _address,
            "an address that starts with https:// or http://, without a user or password",
        )

    def email(self, name: str, default: str) -> str:
        def convert(raw: str) -> str:
            if not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", raw):
                raise ValueError
            return raw

        return self._read(name, default, convert, "an address such as hello@example.com")

    def database(self, name: str, default: str) -> str:
        def convert(raw: str) -> str:
            for plain in ("postgres://", "postgresql://"):
                if raw.startswith(plain):
                    return "postgresql+psycopg://" + raw[len(plain) :]
            if not raw.startswith(("sqlite:///", "postgresql+psycopg://")):
                raise ValueError
            return raw

        return self._read(name, default, convert, "a sqlite:/// or postgresql:// address")


_ROLE_ARN = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+"


@cache
def _metering_regions(partition: str) -> tuple[str, ...]:
    """Where the metering service answers in a partition, as botocore knows it."""
    return tuple(botocore.session.Session().get_available_regions("meteringmarketplace", partition))


def _address(raw: str) -> str:
    """A web address as it is. Raises ``ValueError`` for what is none, or carries a user or an odd port."""
    parts = urlsplit(raw)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.port == 0:
        raise ValueError(raw)
    return raw


def _secret(env: Mapping[str, str], sandbox: bool, instance: Path) -> str:
    """SECRET_KEY; under the sandbox one is made once and kept beside the database, so restarts sign nobody out."""
    given = env.get("SECRET_KEY", "")
    if given:
        if len(given) < 32 and not sandbox:
            raise SettingsError("SECRET_KEY wants at least 32 characters nobody can guess.")
        return given
    if not sandbox:
        raise SettingsError("SECRET_KEY wants at least 32 characters nobody can guess; it is not set.")
    path = instance / "secret_key"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text().strip()
