from __future__ import annotations

import json
import os
import pickle

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from vitald.config.secrets import MASK, Secret, SecretURL, masked_url

UNREADABLE = (
    "is no URL: its host or port cannot be read; a / ? # or @ in a password is written "
    "%2F %3F %23 or %40"
)


class Model(BaseModel):
    secret: Secret | None = None
    url: SecretURL | None = None


def refusal(read, *arguments) -> str:
    with pytest.raises(ValueError) as caught:
        read(*arguments)
    return str(caught.value)


def test_a_literal_is_kept_and_not_shown():
    secret = Secret.read("hunter2")
    assert secret.get_secret_value() == "hunter2"
    assert secret.is_literal
    assert secret.shown() == MASK
    assert "hunter2" not in f"{secret} {secret!r} {Model(secret='hunter2')!r}"


def test_a_variable_is_read_and_shown_as_a_reference(monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2")
    secret = Secret.read({"env": "TOKEN"})
    assert secret.get_secret_value() == "hunter2"
    assert not secret.is_literal
    assert secret.shown() == {"env": "TOKEN"}


def test_a_file_is_read_without_its_last_line_end_relative_to_the_configuration(tmp_path):
    (tmp_path / "token").write_bytes(b" hunter2 \r\n")
    secret = Secret.read({"file": "token"}, tmp_path)
    assert secret.get_secret_value() == " hunter2 "
    assert secret.shown() == {"file": "token"}


def test_a_secret_of_several_lines_keeps_them(tmp_path):
    (tmp_path / "key.pem").write_text("-----BEGIN\nabc\n-----END\n")
    secret = Secret.read({"file": str(tmp_path / "key.pem")})
    assert secret.get_secret_value() == "-----BEGIN\nabc\n-----END"


def test_a_number_is_a_secret_as_it_is_written():
    assert Secret.read(123456).get_secret_value() == "123456"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"env": "VITALD_NOT_SET"}, "the environment variable VITALD_NOT_SET is not set"),
        ({"env": "VITALD_EMPTY"}, "the environment variable VITALD_EMPTY is empty"),
        ({"env": "A\nB"}, "the environment variable A\\nB is not set"),
        ({"env": ""}, "env names nothing: write {env: NAME}, {file: PATH} or the text itself"),
        ({"env": 5}, "env names nothing: write {env: NAME}, {file: PATH} or the text itself"),
        (
            {"evn": "A"},
            "cannot read a secret from evn: write {env: NAME}, {file: PATH} or the text itself",
        ),
        (
            {"env": "A", "file": "B"},
            "is no secret: write {env: NAME}, {file: PATH} or the text itself",
        ),
        ({}, "is no secret: write {env: NAME}, {file: PATH} or the text itself"),
        (["hunter2"], "is no secret: write {env: NAME}, {file: PATH} or the text itself"),
        (True, "is no secret: write {env: NAME}, {file: PATH} or the text itself"),
        ("", "the secret is empty"),
    ],
)
def test_what_is_no_secret_is_refused_without_repeating_it(monkeypatch, value, message):
    monkeypatch.setenv("VITALD_EMPTY", "")
    assert refusal(Secret.read, value) == message


def test_an_unreadable_secret_file_is_refused_with_its_path_and_the_cause(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "latin").write_bytes(b"\xe9")
    (tmp_path / "large").write_bytes(b"x" * (64 * 1024 + 1))
    os.mkfifo(tmp_path / "fifo")
    cannot = f"cannot read the secret file {tmp_path}/"
    expected = {
        "nowhere": f"{cannot}nowhere: no such file or directory",
        ".": f"cannot read the secret file {tmp_path}: it is no regular file",
        "fifo": f"{cannot}fifo: it is no regular file",
        "empty": f"the secret file {tmp_path}/empty is empty",
        "latin": f"{cannot}latin: it is not UTF-8",
        "large": f"{cannot}large: it is larger than 64 KiB",
    }
    found = {name: refusal(Secret.read, {"file": name}, tmp_path) for name in expected}
    assert found == expected


def test_a_path_with_a_nul_is_refused(tmp_path):
    assert "null" in refusal(Secret.read, {"file": "a\0b"}, tmp_path)


def test_equal_secrets_are_equal_wherever_they_came_from(monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2")
    assert Secret.read({"env": "TOKEN"}) == Secret.read("hunter2")
    assert Secret.read({"env": "TOKEN"}) != Secret.read("hunter3")


def test_a_secret_survives_the_way_to_a_worker_process(monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2")
    secret = pickle.loads(pickle.dumps(Secret.read({"env": "TOKEN"})))
    assert secret.get_secret_value() == "hunter2"
    assert secret.shown() == {"env": "TOKEN"}


def test_json_has_the_reference_or_a_mask_and_never_the_secret(monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2")
    document = Model(secret={"env": "TOKEN"}, url="redis://u:hunter2@h/0").model_dump_json()
    assert json.loads(document) == {"secret": {"env": "TOKEN"}, "url": "redis://u:***@h/0"}
    assert json.loads(Model(secret="hunter2").model_dump_json())["secret"] == MASK


def test_a_model_takes_pydantics_own_secrets():
    assert Model(secret=SecretStr("hunter2")).secret.get_secret_value() == "hunter2"


def test_a_model_collects_the_fault():
    with pytest.raises(ValidationError) as caught:
        Model(secret={"env": "VITALD_NOT_SET"}, url="hunter2")
    errors = [(error["loc"], error["type"]) for error in caught.value.errors()]
    assert errors == [(("secret",), "value_error"), (("url",), "value_error")]


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://u:hunter2@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u:hun@ter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("redis://:hunter2@h", "redis://:***@h"),
        ("https://h/x?token=hunter2&b", "https://h/x?token=***&b"),
        ("https://h/x?a=#hunter2", "https://h/x?a="),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("sqlite:////var/db", "sqlite:////var/db"),
        ("sqlite:///db", "sqlite:///db"),
        ("sqlite://", "sqlite://"),
        (
            "mysql+pymysql://u:hunter2@/db?unix_socket=/s",
            "mysql+pymysql://u:***@/db?unix_socket=***",
        ),
    ],
)
def test_a_url_is_shown_without_password_and_query_values(url, masked):
    assert masked_url(url) == masked
    assert SecretURL.read(url).shown() == masked
    assert SecretURL.read(url).get_secret_value() == url


def test_no_piece_of_an_unescaped_password_is_shown():
    assert masked_url("postgresql://u:hun/ter2?#@h/db") == "postgresql://u:***@h/db"


@pytest.mark.parametrize(
    ("url", "is_secret"),
    [
        ("postgresql://u:hunter2@h/db", True),
        ("https://h/?api_key=x", True),
        ("https://h/?X-Amz-Signature=x", True),
        ("postgresql://u@h/db?sslmode=require", False),
        ("http://127.0.0.1:8000/ready?", False),
        ("sqlite:///db", False),
    ],
)
def test_only_a_url_with_a_password_counts_as_a_literal_secret(url, is_secret):
    assert SecretURL.read(url).is_literal is is_secret


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hunter2", "is no URL: it must begin with a scheme, like postgresql://"),
        ("postgresql://u:p@h:hunter2/db", UNREADABLE),
        ("http://[hunter2/", UNREADABLE),
        ("postgresql://u:hun/ter2@h/db", UNREADABLE),
        ("", "the secret is empty"),
    ],
)
def test_what_is_no_url_is_refused_without_repeating_it(value, message):
    assert refusal(SecretURL.read, value) == message
