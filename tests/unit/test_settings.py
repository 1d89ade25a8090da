"""Settings: what is right is taken, what is wrong stops the start with one sentence that names the variable."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import (
    ARGON2_SAFE_MEMORY_KIB,
    ARGON2_SAFE_TIME_COST,
    SANDBOX_PRODUCT_CODES,
    Settings,
    SettingsError,
)

KEY = "k" * 40
PREFIXES = ("AWS", "AWS_CN", "AWS_EUSC")


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, str]:
    """The least that a company has to set."""
    return {"SECRET_KEY": KEY, "INSTANCE_PATH": str(tmp_path)}


@pytest.fixture
def sandbox(tmp_path: Path) -> dict[str, str]:
    return {"SANDBOX": "1", "INSTANCE_PATH": str(tmp_path)}


def refusal(env: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as stopped:
        Settings.from_env(env)
    return str(stopped.value)


# What is wrong -----------------------------------------------------------------------------------------------

WRONG = [
    ("SANDBOX", "maybe"),
    ("PORT", "http"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "50.5"),
    ("DATABASE_URL", "mysql://host/db"),
    ("DATABASE_URL", "wizard.db"),
    ("PUBLIC_URL", "join.example.com"),
    ("PUBLIC_URL", "ftp://join.example.com"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://join.example.com/wizard"),
    ("PUBLIC_URL", "https://join.example.com?x=1"),
    ("PUBLIC_URL", "https://join.example.com#top"),
    ("PUBLIC_URL", "https://join.example.com:port"),
    ("PUBLIC_URL", "https://join.example.com:99999"),
    ("PUBLIC_URL", "https://somebody@join.example.com"),
    ("MAIL_PORT", "smtp"),
    ("MAIL_PORT", "0"),
    ("MAIL_USE_TLS", "starttls"),
    ("MAIL_USE_SSL", "2"),
    ("MAIL_SENDER", "Skylark"),
    ("AWS_PRODUCT_CODES", ","),
    ("AWS_MARKETPLACE_ENDPOINT", "metering.us-east-1.amazonaws.com"),
    ("AWS_MARKETPLACE_URL", "aws"),
    ("AWS_SNS_TOPICS", "aws-mp-subscription-notification-payg"),
    ("AWS_SNS_TOPICS", "arn:aws-cn:sns:cn-northwest-1:111122223333:name"),
    ("AWS_SNS_TOPICS", "arn:aws:sns:us-east-1:111122223333:one,two"),
    ("AWS_SQS_QUEUES", "name"),
    ("AWS_SQS_QUEUES", "http://sqs.us-east-1.amazonaws.com/111122223333/name"),
    ("AWS_SQS_QUEUES", "https://sqs.cn-northwest-1.amazonaws.com.cn/111122223333/name"),
    ("AWS_SQS_QUEUES", "https://sqs.us-east-1.amazonaws.com.example/111122223333/name"),
    ("AWS_CN_SQS_QUEUES", "https://sqs.us-east-1.amazonaws.com/111122223333/name"),
    ("AWS_EUSC_MARKETPLACE_SNS_ENDPOINT", "sns"),
    ("AWS_CN_PRODUCT_CODES", ","),
    ("AWS_CN_MARKETPLACE_STS_ENDPOINT", "sts"),
    ("AWS_CN_MARKETPLACE_IDENTIFIERS", "customers"),
    ("AWS_EUSC_MARKETPLACE_AGREEMENT_ENDPOINT", "agreements"),
    ("AWS_EUSC_MARKETPLACE_ROLE_ARN", "seller"),
    ("AWS_EUSC_MARKETPLACE_ROLE_ARN", "arn:aws-eusc:iam::1:role/seller"),
    ("RATELIMIT_ENABLED", "on"),
    ("PASSWORD_BREACH_URL", "api.pwnedpasswords.com"),
    ("TRUSTED_PROXIES", "-1"),
    ("TRUSTED_PROXIES", "*"),
    ("ARGON2_TIME_COST", "0"),
    ("ARGON2_MEMORY_KIB", "lots"),
    ("LOG_FORMAT", "xml"),
    ("PROMETHEUS_MULTIPROC_DIR", "/nowhere"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_one_sentence_with_the_variable_and_the_value(
    plain: dict[str, str], name: str, value: str
) -> None:
    said = refusal(plain | {name: value})
    assert said.startswith(f"{name} wants ")
    assert value in said or name == "DATABASE_URL"  # This one may hold a password, so it may stay unsaid.
    assert said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({"SECRET_KEY": ""}, ["SECRET_KEY"]),
        ({"SECRET_KEY": "too short"}, ["SECRET_KEY"]),
        ({"ARGON2_TIME_COST": "1"}, ["ARGON2_TIME_COST", "SANDBOX"]),
        ({"ARGON2_MEMORY_KIB": "1024"}, ["ARGON2_MEMORY_KIB", "SANDBOX"]),
        (
            {
                "MAIL_USE_TLS": "1",
                "MAIL_USE_SSL": "1",
            },
            ["MAIL_USE_TLS", "MAIL_USE_SSL"],
        ),
        ({"AWS_MARKETPLACE_ACCESS_KEY_ID": "AKIA"}, ["AWS_MARKETPLACE_SECRET_ACCESS_KEY"]),
        ({"AWS_CN_MARKETPLACE_SECRET_ACCESS_KEY": "s3cret"}, ["AWS_CN_MARKETPLACE_ACCESS_KEY_ID"]),
        (
            {"AWS_EUSC_MARKETPLACE_EXTERNAL_ID": "from-the-seller"},
            ["AWS_EUSC_MARKETPLACE_EXTERNAL_ID", "AWS_EUSC_MARKETPLACE_ROLE_ARN"],
        ),
        (
            {"AWS_CN_MARKETPLACE_ROLE_ARN": "arn:aws:iam::111122223333:role/seller"},
            ["AWS_CN_MARKETPLACE_ROLE_ARN", "aws-cn", "arn:aws:iam::111122223333:role/seller"],
        ),
        (
            {"AWS_MARKETPLACE_ROLE_ARN": "arn:aws-eusc:iam::111122223333:role/seller"},
            ["AWS_MARKETPLACE_ROLE_ARN", "partition aws,"],
        ),
        ({"AWS_MARKETPLACE_REGION": "cn-northwest-1"}, ["AWS_MARKETPLACE_REGION", "cn-northwest-1"]),
        ({"AWS_MARKETPLACE_REGION": "us-gov-west-1"}, ["AWS_MARKETPLACE_REGION", "us-gov-west-1"]),
        ({"AWS_MARKETPLACE_REGION": "us-east-9"}, ["AWS_MARKETPLACE_REGION", "us-east-9"]),
        ({"AWS_CN_MARKETPLACE_REGION": "cn-north-1"}, ["AWS_CN_MARKETPLACE_REGION", "cn-north-1"]),
        ({"AWS_CN_MARKETPLACE_REGION": "us-east-1"}, ["AWS_CN_MARKETPLACE_REGION", "aws-cn"]),
        ({"AWS_EUSC_MARKETPLACE_REGION": "nowhere"}, ["AWS_EUSC_MARKETPLACE_REGION", "nowhere"]),
        (
            {"AWS_CN_MARKETPLACE_AGREEMENT_ENDPOINT": "https://agreements.example"},
            ["AWS_CN_MARKETPLACE_AGREEMENT_ENDPOINT", "left out"],
        ),
        (
            {"AWS_PRODUCT_CODES": "one", "AWS_CN_PRODUCT_CODES": "two"},
            ["AWS_MARKETPLACE_ACCESS_KEY_ID", "AWS_CN_MARKETPLACE_ACCESS_KEY_ID", "aws and aws-cn"],
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_one_sentence_that_names_it(
    plain: dict[str, str], env: dict[str, str], names: list[str]
) -> None:
    said = refusal(plain | env)
    assert [name for name in names if name not in said] == []
    assert said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize(
    "env",
    [
        {"SECRET_KEY": "hunter2"},
        {"DATABASE_URL": "mysql://wizard:hunter2@db.example.com/wizard"},
        {"MAIL_USE_TLS": "1", "MAIL_USE_SSL": "1", "MAIL_PASSWORD": "hunter2"},
        {"AWS_MARKETPLACE_SECRET_ACCESS_KEY": "hunter2"},
        {"AWS_CN_MARKETPLACE_EXTERNAL_ID": "hunter2"},
    ],
    ids=lambda env: next(iter(env)),
)
def test_a_refusal_spells_out_no_secret(plain: dict[str, str], env: dict[str, str]) -> None:
    assert "hunter2" not in refusal(plain | env)


def test_settings_shown_in_a_log_show_no_secret(plain: dict[str, str]) -> None:
    shown = repr(
        Settings.from_env(
            plain
            | {
                "DATABASE_URL": "postgresql://wizard:hunter2@db.example.com/wizard",
                "MAIL_PASSWORD": "hunter3",
                "AWS_MARKETPLACE_ACCESS_KEY_ID": "AKIA",
                "AWS_MARKETPLACE_SECRET_ACCESS_KEY": "hunter4",
                "AWS_CN_MARKETPLACE_ROLE_ARN": "arn:aws-cn:iam::111122223333:role/seller",
                "AWS_CN_MARKETPLACE_EXTERNAL_ID": "hunter5",
            }
        )
    )
    assert not [secret for secret in (KEY, "hunter2", "hunter3", "hunter4", "hunter5") if secret in shown]


# What is right -----------------------------------------------------------------------------------------------


def test_a_company_that_sets_a_key_gets_safe_defaults(plain: dict[str, str], tmp_path: Path) -> None:
    settings = Settings.from_env(plain)
    assert settings.database_url == f"sqlite:///{tmp_path / 'wizard.db'}"
    assert settings.public_url == "http://127.0.0.1:5000"
    assert (settings.sandbox, settings.sandbox_origin) == (False, "")
    assert settings.ratelimit_enabled
    assert settings.trusted_proxies == 0
    assert (settings.argon2_time_cost, settings.argon2_memory_kib) == (
        ARGON2_SAFE_TIME_COST,
        ARGON2_SAFE_MEMORY_KIB,
    )
    assert settings.log_format == "text"


def test_argon2_is_never_weaker_than_owasps_floor() -> None:
    """Password Storage cheat sheet: argon2id with 19 MiB, two iterations and one lane."""
    assert (ARGON2_SAFE_TIME_COST, ARGON2_SAFE_MEMORY_KIB) == (2, 19 * 1024)


def test_a_password_in_an_address_is_refused_and_not_said_again(plain: dict[str, str]) -> None:
    for secret in (
        "https://somebody:s3cret@aws.example.com/",
        "https://u:p/s3cret@h",
        "u:s3cret@aws.example.com",
    ):
        said = refusal(plain | {"AWS_MARKETPLACE_ENDPOINT": secret})
        assert said.startswith("AWS_MARKETPLACE_ENDPOINT wants ")
        assert "without a user" in said
        assert "s3cret" not in said


def test_what_is_off_is_said_in_one_line_each(plain: dict[str, str], sandbox: dict[str, str]) -> None:
    *partitions, mail, stolen = Settings.from_env(plain).notices()
    for variable, line in zip(("AWS_", "AWS_CN_", "AWS_EUSC_"), partitions, strict=True):
        assert f"{variable}PRODUCT_CODES" in line
    assert "MAIL_SERVER" in mail
    assert "PASSWORD_BREACH_URL" in stolen
    codes = {f"{prefix}_PRODUCT_CODES": "a" for prefix in PREFIXES}
    keys = {f"{prefix}_MARKETPLACE_ACCESS_KEY_ID": "AKIA" for prefix in PREFIXES}
    keys |= {f"{prefix}_MARKETPLACE_SECRET_ACCESS_KEY": "s3cret" for prefix in PREFIXES}
    on = codes | keys | {"MAIL_SERVER": "smtp.example.com", "MAIL_SENDER": "hello@example.com"}
    on |= {"PASSWORD_BREACH_URL": "https://api.pwnedpasswords.com/range/"}
    unheard = Settings.from_env(plain | on).notices()
    assert [f"{prefix}_SNS_TOPICS" in line for prefix in PREFIXES for line in unheard].count(True) == 3
    on |= {f"{prefix}_{name}": value for prefix, name, value in heard()}
    unlisted = Settings.from_env(plain | on).notices()
    assert ["_MARKETPLACE_URL" in line for line in unlisted] == [True] * 3
    listings = {f"{prefix}_MARKETPLACE_URL": "https://market.example/p" for prefix in PREFIXES}
    assert Settings.from_env(plain | on | listings).notices() == []


def heard() -> Iterator[tuple[str, str, str]]:
    """``(prefix, variable, value)``: by a queue in two partitions, by a topic in the third."""
    yield "AWS", "SQS_QUEUES", "https://sqs.us-east-1.amazonaws.com/111122223333/from-aws"
    yield "AWS_EUSC", "SQS_QUEUES", "https://sqs.eusc-de-east-1.amazonaws.eu/111122223333/from-aws"
    yield "AWS_CN", "SNS_TOPICS", "arn:aws-cn:sns:cn-northwest-1:111122223333:from-aws"


@pytest.mark.parametrize(
    ("value", "codes"),
    [("one", ("one",)), ("one,two", ("one", "two")), (" one , two ,", ("one", "two")), ("", ())],
)
def test_product_codes_are_a_list_with_commas(
    plain: dict[str, str], value: str, codes: tuple[str, ...]
) -> None:
    assert (
        Settings.from_env(plain | {"AWS_PRODUCT_CODES": value}).aws_partitions["aws"].product_codes == codes
    )


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:////var/lib/w.db", "sqlite:////var/lib/w.db"),
    ],
)
def test_a_database_address_of_any_usual_spelling_is_taken(
    plain: dict[str, str], value: str, url: str
) -> None:
    assert Settings.from_env(plain | {"DATABASE_URL": value}).database_url == url


@pytest.mark.parametrize(
    ("value", "origin", "secure"),
    [
        ("https://join.example.com", "https://join.example.com", True),
        ("https://join.example.com/", "https://join.example.com", True),
        ("http://10.0.0.7:8080", "http://10.0.0.7:8080", False),
        ("http://[::1]:5000", "http://[::1]:5000", False),
    ],
)
def test_the_public_address_decides_whether_cookies_are_secure(
    plain: dict[str, str], value: str, origin: str, secure: bool
) -> None:
    settings = Settings.from_env(plain | {"PUBLIC_URL": value})
    assert (settings.public_url, settings.secure_cookies) == (origin, secure)


@pytest.mark.parametrize(
    ("value", "flag"), [("1", True), ("true", True), ("0", False), ("FALSE", False), (" ", True)]
)
def test_a_flag_is_one_or_nought(plain: dict[str, str], value: str, flag: bool) -> None:
    """White space alone is as good as nothing: the default."""
    assert Settings.from_env(plain | {"RATELIMIT_ENABLED": value}).ratelimit_enabled is flag


@pytest.mark.parametrize(
    ("name", "prefix", "region", "identifiers"),
    [
        ("aws", "AWS", "us-east-1", "licence"),
        ("aws-cn", "AWS_CN", "cn-northwest-1", "legacy"),
        ("aws-eusc", "AWS_EUSC", "eusc-de-east-1", "licence"),
    ],
)
def test_each_partition_of_aws_has_defaults_and_variables_of_its_own(
    plain: dict[str, str], name: str, prefix: str, region: str, identifiers: str
) -> None:
    off = Settings.from_env(plain).aws_partitions[name]
    assert (off.product_codes, off.region, off.identifiers) == ((), region, identifiers)
    assert (off.access_key_id, off.role_arn, off.external_id, off.marketplace_url) == ("", "", "", "")
    others = {"licence": "legacy", "legacy": "licence"}
    given = {
        "PRODUCT_CODES": "one,two",
        "MARKETPLACE_URL": "https://market.example/listing",
        "MARKETPLACE_ENDPOINT": "https://metering.example",
        "MARKETPLACE_STS_ENDPOINT": "https://sts.example",
        "MARKETPLACE_ACCESS_KEY_ID": "AKIA",
        "MARKETPLACE_SECRET_ACCESS_KEY": "s3cret",
        "MARKETPLACE_ROLE_ARN": f"arn:{name}:iam::111122223333:role/path/seller",
        "MARKETPLACE_EXTERNAL_ID": "from-the-seller",
        "MARKETPLACE_IDENTIFIERS": others[identifiers],
        "SNS_TOPICS": f"arn:{name}:sns:{region}:111122223333:one, arn:{name}:sns:{region}:111122223333:two",
        "MARKETPLACE_SQS_ENDPOINT": "https://vpce-1.sqs.example",
        "SQS_QUEUES": "https://vpce-1.sqs.example/111122223333/from-aws",
        "MARKETPLACE_SNS_ENDPOINT": "https://sns.example",
        "MARKETPLACE_ENTITLEMENT_ENDPOINT": "https://entitlement.example",
    }
    settings = Settings.from_env(plain | {f"{prefix}_{variable}": value for variable, value in given.items()})
    on = settings.aws_partitions[name]
    assert (on.product_codes, on.marketplace_url) == (("one", "two"), "https://market.example/listing")
    assert (on.metering_endpoint, on.sts_endpoint) == ("https://metering.example", "https://sts.example")
    assert (on.entitlement_endpoint, on.sns_endpoint) == (
        "https://entitlement.example",
        "https://sns.example",
    )
    assert (on.sqs_endpoint, on.sqs_queues) == (given["MARKETPLACE_SQS_ENDPOINT"], (given["SQS_QUEUES"],))
    assert on.sns_topics == tuple(given["SNS_TOPICS"].split(", "))
    assert (on.access_key_id, on.secret_access_key) == ("AKIA", "s3cret")
    assert (on.role_arn, on.external_id) == (given["MARKETPLACE_ROLE_ARN"], "from-the-seller")
    assert on.identifiers == others[identifiers]
    assert [p.name for p in settings.aws_partitions.values() if p.product_codes] == [name]


def test_a_region_of_the_same_partition_will_do(plain: dict[str, str]) -> None:
    settings = Settings.from_env(plain | {"AWS_MARKETPLACE_REGION": "eu-central-1"})
    assert settings.aws_partitions["aws"].region == "eu-central-1"


# The sandbox -------------------------------------------------------------------------------------------------


def test_the_sandbox_needs_nothing_set(sandbox: dict[str, str]) -> None:
    settings = Settings.from_env(sandbox | {"PORT": "5123"})
    assert settings.public_url == "http://127.0.0.1:5123"
    assert settings.sandbox_origin == "http://localhost:5123"
    assert list(settings.aws_partitions) == ["aws", "aws-cn", "aws-eusc"]
    for name, partition in settings.aws_partitions.items():
        assert partition.marketplace_url == f"http://localhost:5123/sandbox/{name}/"
        assert partition.manage_url.startswith(partition.marketplace_url)
        assert partition.product_codes == SANDBOX_PRODUCT_CODES[name]
        assert partition.access_key_id
        assert partition.secret_access_key
        assert not partition.role_arn


def test_the_sandbox_keeps_the_key_it_made_for_itself(sandbox: dict[str, str], tmp_path: Path) -> None:
    first, second = Settings.from_env(sandbox), Settings.from_env(sandbox)
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 32
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    elsewhere = Settings.from_env(sandbox | {"INSTANCE_PATH": str(tmp_path / "another")})
    assert elsewhere.secret_key != first.secret_key


def test_only_the_sandbox_allows_what_would_be_weak(sandbox: dict[str, str], plain: dict[str, str]) -> None:
    weak = {"SECRET_KEY": "short", "ARGON2_TIME_COST": "1", "ARGON2_MEMORY_KIB": "8"}
    settings = Settings.from_env(sandbox | weak)
    assert (settings.secret_key, settings.argon2_time_cost, settings.argon2_memory_kib) == ("short", 1, 8)
    for name, value in weak.items():
        assert name in refusal(plain | {name: value})


def test_the_sandbox_takes_values_of_ones_own_too(sandbox: dict[str, str]) -> None:
    own = {"AWS_PRODUCT_CODES": "mine", "SANDBOX_ORIGIN": "http://market.test:5000", "SECRET_KEY": KEY}
    settings = Settings.from_env(sandbox | own)
    assert settings.sandbox_origin == "http://market.test:5000"
    assert settings.aws_partitions["aws"].product_codes == ("mine",)
    assert settings.secret_key == KEY
