"""The function that lives, as Lambda calls it."""

from client import wrap
from subject import answer


@wrap
def function(event, context):
    return {"statusCode": 200, "body": answer(event["queryStringParameters"]["do"])}
