# SPDX-License-Identifier: Apache-2.0
# pymongo against mongosim: usage: clients.py CHECK PORT[,PORT...] [ARGUMENT]. Prints what it saw; an exception is a failure.
import json
import ssl
import sys

import pymongo
from pymongo import MongoClient
from pymongo.errors import NotMasterError, OperationFailure


def direct(port, **more):
    return MongoClient("127.0.0.1", int(port), serverSelectionTimeoutMS=3000, socketTimeoutMS=8000, **more)


def replica_set(ports, **more):
    return MongoClient(["127.0.0.1:" + p for p in ports], replicaSet="rs0", serverSelectionTimeoutMS=15000, socketTimeoutMS=8000, **more)


def initiate(ports, _):
    members = [{"_id": n, "host": "127.0.0.1:" + p} for n, p in enumerate(ports)]
    print(json.dumps(direct(ports[0]).admin.command("replSetInitiate", {"_id": "rs0", "version": 1, "members": members})["ok"]))


def writes(ports, _):
    client = replica_set(ports)
    rows = client.get_database("shop", write_concern=pymongo.WriteConcern("majority", wtimeout=5000)).rows
    rows.insert_many([{"_id": n, "n": n} for n in range(50)])
    rows.update_one({"_id": 7}, {"$inc": {"n": 100}})
    rows.delete_one({"_id": 8})
    on_all = rows.with_options(write_concern=pymongo.WriteConcern(len(ports), wtimeout=5000))
    on_all.update_one({"_id": 99}, {"$set": {"n": 1}}, upsert=True)  # a majority may be without the secondary read below
    assert rows.count_documents({}) == 50, rows.count_documents({})
    assert rows.find_one({"_id": 7})["n"] == 107
    assert rows.find_one({"_id": 8}) is None
    assert sorted(client.list_database_names()) == ["admin", "local", "shop"], client.list_database_names()
    secondary = client.get_database("shop", read_preference=pymongo.ReadPreference.SECONDARY).rows
    assert len(list(secondary.find())) == 50
    newest = next(client.local["oplog.rs"].find().sort("$natural", -1).limit(1))
    assert newest["ts"].time > 0
    print(len(client.nodes), "nodes, primary", client.primary[1])


def codes(ports, _):
    """Errors of the command sheet, by their numbers."""
    client = replica_set(ports)
    client.admin.command("ping")
    primary = direct(client.primary[1])
    secondary = direct(next(iter(client.secondaries))[1])

    def code(where, *command, **more):
        try:
            where.admin.command(*command, **more)
        except (OperationFailure, NotMasterError) as error:
            return error.details["code"]
        return 0

    config = primary.admin.command("replSetGetConfig")["config"]
    same = dict(config)
    two = dict(config, version=config["version"] + 1, members=config["members"][:1])
    wanted = {
        "replSetInitiate again": (23, code(primary, "replSetInitiate", config)),
        "freeze of a primary": (95, code(primary, "replSetFreeze", 10)),
        "stepDown of a secondary": (10107, code(secondary, "replSetStepDown", 10)),
        "reconfig with the same version": (103, code(primary, "replSetReconfig", same)),
        "reconfig at a secondary": (10107, code(secondary, "replSetReconfig", dict(same, version=same["version"] + 1))),
        "two voters leave at once": (103, code(primary, "replSetReconfig", two)),
        "no such command": (59, code(primary, "noSuchThing")),
        "commitmentStatus at a secondary": (10107, code(secondary, "replSetGetConfig", commitmentStatus=True)),
    }
    for name, (want, got) in wanted.items():
        assert want == got, "%s: wanted %s, got %s" % (name, want, got)
    print(len(wanted), "codes")


def login(ports, mechanism):
    client = direct(ports[0], username="watcher", password="se:cret", authSource="admin", authMechanism=mechanism)
    status = client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    assert status["authenticatedUsers"][0]["user"] == "watcher", status
    client.admin.command("replSetGetStatus")
    try:
        client.admin.command("replSetFreeze", 1)
        raise AssertionError("replSetFreeze without the right")
    except OperationFailure as error:
        assert error.code == 13, error
    try:
        direct(ports[0], username="watcher", password="wrong", authSource="admin", authMechanism=mechanism).admin.command("replSetGetStatus")
        raise AssertionError("a wrong password passed")
    except OperationFailure as error:
        assert error.code == 18, error
    print(mechanism)


def certificate(ports, folder):
    files = dict(tls=True, tlsCAFile=folder + "/ca.pem", tlsCertificateKeyFile=folder + "/client.pem")
    client = direct(ports[0], authMechanism="MONGODB-X509", authSource="$external", **files)
    client.admin.command("replSetGetStatus")
    for wrong in (dict(tls=True, tlsCAFile=folder + "/ca.pem"), dict()):
        try:
            direct(ports[0], **wrong).admin.command("ping")
            raise AssertionError("passed with " + str(wrong))
        except (pymongo.errors.ConnectionFailure, ssl.SSLError):
            pass
    print("MONGODB-X509")


def main():
    check, ports = sys.argv[1], sys.argv[2].split(",")
    globals()[check](ports, sys.argv[3] if len(sys.argv) > 3 else "")


main()
