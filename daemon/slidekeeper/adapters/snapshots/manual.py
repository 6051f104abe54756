"""What lies beside the versions for whoever finds them without this program."""

MANUAL = """\
This folder holds versions of training runs: what they made, and the source code that made it.
Everything in it can be read with sha256sum, unzip and a JSON reader (python3, jq). Nothing in it is ever changed.

versions/<project>/<n>.json   Version n of a project, one JSON object. "tree" names its root directory; "digest" is the SHA-256 of
                              the file itself without these 64 digits:
                                sed 's/"digest": "[0-9a-f]*"$/"digest": ""/' 1.json | sha256sum
trees/<aa>/<sha256>.json      One directory, one JSON object; <aa> are the first two digits. "entries" are sorted by the bytes of
                              their names. "name" is text; where a name is no UTF-8, "name_base64" is there instead. Their kinds:
    file        "size", "sha256", "mode" (octal) and "mtime" (nanoseconds since 1970, UTC). Where "pack" is there, the content
                is in the pack packs[pack] of this tree, as the member called <sha256>; else it is the blob <sha256>.
    directory   "tree" names its tree; "files", "size" and "missing" are sums of all that is below.
    symlink     "target", or "target_base64".
    missing     Something that was there and could not be kept, and why.
blobs/<aa>/<sha256>           The content of a file of more than 65,536 bytes, as it is.
packs/<aa>/<sha256>.zip       The contents of many small files: a ZIP file, not compressed.

Every name is the SHA-256 of the file it names:  sha256sum blobs/*/* packs/*/* trees/*/*

To read one file:
  1. take "tree" from the version, open that tree, go down through entries of the kind directory to the file's entry;
  2. without "pack":  cp blobs/<aa>/<sha256> FILE
     with "pack":     unzip -p packs/<aa>/<the pack's sha256>.zip <sha256> > FILE
  3. sha256sum FILE   must print <sha256>.

.aside/ and .lock belong to the program that writes here; without it, .aside/ can be ignored.
"""
