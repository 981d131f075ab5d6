"""A network link with delay: forwards packets between tun devices in two network namespaces, each packet
with the given delay in milliseconds. For kernels without netem. The bandwidth is not limited.

    delay.py NAMESPACE ADDRESS NAMESPACE ADDRESS MILLISECONDS
"""

import collections, ctypes, fcntl, os, select, struct, subprocess, sys, time

left, left_address, right, right_address, milliseconds = sys.argv[1:]
delay = float(milliseconds) / 1000
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x40000000, 0x400454CA, 0x0001, 0x1000


def end(namespace, address):
    """Creates the tun device `wire` in a namespace, and returns a file of its packets."""
    with open(f"/var/run/netns/{namespace}") as place:
        if libc.setns(place.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22s", b"wire", IFF_TUN | IFF_NO_PI, b""))
    for command in (f"addr add {address}/24 dev wire", "link set wire mtu 65000 txqueuelen 10000 up"):
        subprocess.run(["ip", "-n", namespace, *command.split()], check=True)
    return device


ends = [end(left, left_address), end(right, right_address)]
queues = [collections.deque(), collections.deque()]  # for each end: due time and packet
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
