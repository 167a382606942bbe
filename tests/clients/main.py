"""What an integrator writes with a generated client: a rule, scores, checks and a redemption. Each line that is
printed is held to what the test expects."""

import json
import os
from io import BytesIO

from perkgate_client import AuthenticatedClient
from perkgate_client.api.checks import create_check, create_checks
from perkgate_client.api.perks import create_perk, get_version, pause_perk
from perkgate_client.api.scores import import_scores
from perkgate_client.api.tokens import redeem_token
from perkgate_client.models import (
    BatchBody, BatchRefusal, CalendarUnit, CheckBody, CheckView, Condition, Context, Decision, Fallback,
    LimitWindow, NewPerkBody, Opening, Operator, PartyCost, PerkStatus, Problem, Purpose, ReasonCode, RedeemBody, Rule,
    RuleLimit, RuleSchedule, RuleTier, RuleToken, ScoreTerms, VersionStatus, Weekday,
)
from perkgate_client.types import File


def client(key: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=os.environ["GATEWAY"], token=os.environ[key])


admin, feeder, kiosk, door = (client(key) for key in ("ADMIN", "FEEDER", "KIOSK", "DOOR"))


def say(step: str, said: object) -> None:
    print(f"{step}: {json.dumps(said)}")


def at_least(value: int) -> Condition:
    return Condition(attr="score", op=Operator.GTE, value=value)


rule = Rule(
    time_zone="America/Los_Angeles",
    score=ScoreTerms(source="klout", max_age="P7D", on_missing=Fallback.REFER),
    schedule=RuleSchedule(open_=[Opening(days=list(Weekday), from_="06:00", to="23:00")]),
    when=Condition(any_=[
        Condition(attr="context.terminal", op=Operator.IN, values=["A", "G"]),
        Condition(not_=Condition(attr="context.terminal", op=Operator.EXISTS)),
    ]),
    tiers=[
        RuleTier(id="first", rank=2, name="First lounge", when=at_least(60)),
        RuleTier(id="standard", rank=1, name="Main lounge", when=at_least(40)),
    ],
    limits=[RuleLimit(
        id="house-day", scope=["perk"], max_=200, cost=PartyCost.PARTY,
        window=LimitWindow(calendar=CalendarUnit.DAY),
    )],
    token=RuleToken(audience="sfo-lounge", ttl="PT30M", single_use=True),
)

PERK = "python-lounge"
new = NewPerkBody(perk=PERK, name="San Francisco lounge", purpose=Purpose.LOUNGE, rule=rule, publish=True)
made = create_perk.sync(client=admin, body=new)
assert made.status is VersionStatus.PUBLISHED, made
version = get_version.sync(PERK, made.version, client=admin)
say("rule", {
    "status": made.status, "version": made.version, "at_least": [tier.when.value for tier in version.rule.tiers],
    "created_by": version.created_by.startswith("key_"),
})

rows = b"".join(
    json.dumps({"subject": subject, "value": value, "observed_at": "2012-05-08T18:00:00Z"}).encode() + b"\n"
    for subject, value in (("py:ada", 47.25), ("py:bob", 37), ("py:eve", 470))
)
imported = import_scores.sync("klout", client=feeder, body=File(payload=BytesIO(rows)))
say("import", {
    "accepted": imported.accepted, "rejected": imported.rejected, "codes": [error.code for error in imported.errors],
})


def sentence(check: CheckView) -> str:
    if check.decision is Decision.GRANTED:
        return f"welcome to {check.tier}"
    if check.decision is Decision.DENIED:
        assert check.reasons[0].code is ReasonCode.SCORE_BELOW_THRESHOLD, check
        return "; ".join(f"{reason.code}, short by {reason.short_by}" for reason in check.reasons)
    return "please wait"


context = Context(party=2)
context["terminal"] = "A"
context["vip"] = True
ask = CheckBody(perk=PERK, subject="py:ada", context=context)
checked = create_check.sync(client=kiosk, body=ask, idempotency_key="python-1")
again = create_check.sync(client=kiosk, body=ask, idempotency_key="python-1")
say("check", {
    "said": sentence(checked), "remaining": [limit.remaining for limit in checked.limits],
    "same": again.token == checked.token,
})

asked = [CheckBody(perk=PERK, subject="py:bob"), CheckBody(perk=PERK, subject="py:eve"),
         CheckBody(perk="nowhere", subject="py:bob")]
batch = create_checks.sync(client=kiosk, body=BatchBody(checks=asked))
say("batch", [
    f"{result.status} {result.problem.code}" if isinstance(result, BatchRefusal) else sentence(result)
    for result in batch.results
])


def redeem(attempt: str):
    return redeem_token.sync_detailed(client=door, body=RedeemBody(token=checked.token, door="SFO-A-3", attempt=attempt))


redeemed, refused = redeem("1").parsed, redeem("2")
assert isinstance(refused.parsed, Problem), refused
say("redeem", {
    "tier": redeemed.tier, "grant": redeemed.grant == checked.grant, "again": refused.parsed.code,
    "status": int(refused.status_code),
})

paused = pause_perk.sync(PERK, client=admin)
assert paused.status is PerkStatus.PAUSED, paused
unread = create_check.sync(client=kiosk, body=CheckBody(perk=PERK, subject=""))
say("pause", {"status": paused.status, "pointers": [spot.pointer for spot in unread.errors]})
