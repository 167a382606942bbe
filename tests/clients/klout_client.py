"""What a program that was written for Klout does, with the client from PyPI as it is."""

import json
import os

from klout import Klout, KloutHTTPError


def show(name, value):
    print(f"{name}: {json.dumps(value, separators=(',', ':'), sort_keys=True)}")


def refused(ask):
    try:
        return ask()
    except KloutHTTPError as error:
        return [error.e.code, json.loads(error.e.read())["error"]]


gateway = os.environ["GATEWAY"].removeprefix("http://")
klout = Klout(os.environ["READER"], domain=gateway)
identity = klout.identity.klout(screenName="Ada")
show("identity", [identity["network"], identity["id"].isdigit()])
show("score", klout.user.score(kloutId=identity["id"], timeout=30))
user = klout.user(kloutId=identity["id"])
show("user", [user["kloutId"] == identity["id"], user["nick"], user["score"], user["scoreDeltas"]])
show("influence", klout.user.influence(kloutId=identity["id"]))
show("topics", klout.user.topics(kloutId=identity["id"]))
show("nobody", refused(lambda: klout.identity.klout(screenName="eve")))
show("of twitter", refused(lambda: klout.identity.klout(tw="11158872")))
show("stranger", refused(lambda: Klout("pgk_wrong", domain=gateway).identity.klout(screenName="ada")))
