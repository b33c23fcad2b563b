"""The function of a life, as AWS Lambda calls it."""

from client import wrap
from cuts import CUT, by_alarm, cuttable
from subject import answer


def _reply(body):
    return {"statusCode": 200, "body": body}


def _seconds(event, context):
    return event["queryStringParameters"].get("cut")


@cuttable(by_alarm, _seconds, _reply(CUT))
@wrap
def function(event, context):
    return _reply(answer(event["queryStringParameters"]["do"]))
