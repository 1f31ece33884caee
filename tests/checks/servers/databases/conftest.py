from __future__ import annotations

import os
import pwd
import signal
import subprocess

import pytest


@pytest.fixture(scope="session")
def postgresql_server(server_directory, kit):
    initdb, postgres, pg_isready = kit.need("PostgreSQL", "initdb", "postgres", "pg_isready")
    user = "postgres"
    directory = server_directory("postgresql", user)
    secret = directory / "password"
    secret.write_text(kit.PASSWORD)
    secret.chmod(0o644)
    data = directory / "data"
    subprocess.run(
        [initdb, "-D", data, "-U", "vitald", "-A", "scram-sha-256", "--pwfile", secret, "-N"],
        check=True,
        capture_output=True,
        cwd="/",
        **kit.as_user(user),
    )
    port = kit.free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": directory,
        "fsync": "off",
        "max_connections": 20,
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = kit.Server(
        "postgresql",
        [postgres, "-D", data, *options],
        ready=kit.answers(pg_isready, "-q", "-h", directory, "-p", str(port)),
        directory=directory,
        user=user,
        end=signal.SIGQUIT,
    )
    server.port = port
    with server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server(server_directory, kit):
    install, mariadbd, admin, client = kit.need(
        "MariaDB", "mariadb-install-db", "mariadbd", "mariadb-admin", "mariadb"
    )
    user = "mysql" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    directory = server_directory("mariadb", user)
    data, unix_socket = directory / "data", directory / "mysqld.sock"
    subprocess.run(
        [
            *(install, "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db"),
            "--auth-root-authentication-method=normal",
        ],
        check=True,
        capture_output=True,
    )
    port = kit.free_port()
    server = kit.Server(
        "mariadb",
        [
            *(mariadbd, "--no-defaults", f"--datadir={data}", f"--socket={unix_socket}"),
            *(f"--port={port}", "--bind-address=127.0.0.1", f"--user={user}"),
            *(f"--pid-file={directory}/pid", "--max-connections=30"),
            "--innodb-flush-log-at-trx-commit=0",
        ],
        ready=kit.answers(admin, "--no-defaults", "-u", "root", "-S", unix_socket, "ping"),
        directory=directory,
    )
    server.port = port
    server.unix_socket = unix_socket
    grant = (
        f"CREATE USER vitald@'127.0.0.1' IDENTIFIED BY '{kit.PASSWORD}';"
        f"CREATE USER vitald@localhost IDENTIFIED BY '{kit.PASSWORD}';"
    )
    login = [client, "--no-defaults", "-u", "root", "-S", unix_socket]
    with server:
        subprocess.run([*login, "-e", grant], check=True, capture_output=True)
        yield server


@pytest.fixture
def postgresql(postgresql_server):
    yield postgresql_server
    postgresql_server.heal()


@pytest.fixture
def mariadb(mariadb_server):
    yield mariadb_server
    mariadb_server.heal()
