"""A wire with a delay: passes packets between a tun device in each of two network namespaces, each so many
milliseconds later. For kernels without netem; nothing limits how much passes at once.

    delay.py NAMESPACE ADDRESS NAMESPACE ADDRESS MILLISECONDS
"""

import collections, ctypes, fcntl, os, select, struct, subprocess, sys, time

left, left_address, right, right_address, milliseconds = sys.argv[1:]
delay = float(milliseconds) / 1000
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x40000000, 0x400454CA, 0x0001, 0x1000


def end(namespace, address):
    """A tun device `wire` in a namespace, as a file to read its packets from."""
    with open(f"/var/run/netns/{namespace}") as place:
        if libc.setns(place.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22s", b"wire", IFF_TUN | IFF_NO_PI, b""))
    for command in (f"addr add {address}/24 dev wire", "link set wire mtu 65000 txqueuelen 10000 up"):
        subprocess.run(["ip", "-n", namespace, *command.split()], check=True)
    return device


ends = [end(left, left_address), end(right, right_address)]
queues = [collections.deque(), collections.deque()]  # to each end: when, and what
print("ready", flush=True)
while True:
    now = time.monotonic()
    for device, queue in zip(ends, queues):
        while queue and queue[0][0] <= now:
            os.write(device, queue.popleft()[1])
    due = min((queue[0][0] for queue in queues if queue), default=now + 1)
    readable, _, _ = select.select(ends, [], [], max(0.0, due - time.monotonic()))
    for device in readable:
        other = queues[1 - ends.index(device)]
        try:
            while True:
                other.append((time.monotonic() + delay, os.read(device, 70000)))
        except BlockingIOError:
            pass
