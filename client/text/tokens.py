"""Between text and token ids, with a model's own tokenizer. bifctl carries this script and runs it.

    python3 tokens.py encode|decode TOKENIZER.json [--no-special-tokens]

Lines of JSON come in and as many go out. encode: a text to its ids. decode: a list of ids to {"text": ..., "pieces":
[...]}, one piece a token, which joined are the text. A character that several tokens make up, byte by byte, is in the
piece of the last of them, and the pieces of the others are empty.

What is wrong is one sentence on standard error. Exit codes: 1, and 3 if the package tokenizers cannot be used.
"""

import sys

sys.path = [folder for folder in sys.path if folder]  # not the current folder: a json.py may lie there

import json


def encode(tokenizer, special_tokens, texts):
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=special_tokens)
    return [encoding.ids for encoding in encodings]


def decode(tokenizer, stream, ids):
    pieces = []
    for token in ids:
        if tokenizer.id_to_token(token) is None:
            pieces.append(f"<{token}>")  # models often have more logits than their tokenizer has tokens
        else:
            pieces.append(stream.step(tokenizer, token) or "")
    unfinished = len(pieces)
    while unfinished > 0 and not pieces[unfinished - 1]:
        unfinished -= 1
    if unfinished < len(pieces):  # it ends within a character
        pieces[-1] = "\N{REPLACEMENT CHARACTER}"
    return {"text": "".join(pieces), "pieces": pieces}


def main(arguments):
    verb, path = arguments[:2]
    try:
        from tokenizers import Tokenizer
        from tokenizers.decoders import DecodeStream
    except ImportError as error:
        print(error, file=sys.stderr)
        return 3
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the package raises no narrower type
        print(f"{path} is not a tokenizer: {error}", file=sys.stderr)
        return 1
    inputs = [json.loads(line) for line in sys.stdin]
    if verb == "encode":
        outputs = encode(tokenizer, "--no-special-tokens" not in arguments, inputs)
    else:
        outputs = [decode(tokenizer, DecodeStream(skip_special_tokens=False), ids) for ids in inputs]
    for output in outputs:
        print(json.dumps(output))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
