"""A TCP proxy between two stations that can cut the connection, or alter a byte, at a chosen place.

"up" is what the caller says, "down" what the called one says; places count from the first byte.
"""
import socket
import threading

UP, DOWN = "up", "down"


class Proxy:
    """Serves one connection: Proxy(target port, cut=(UP, 100)), or flip=(DOWN, 7), or neither.

    cut: that many bytes of the direction get through, then both connections are ended.
    flip: the lowest bit of that byte is turned over.
    count[UP] and count[DOWN] say how many bytes went through.
    """

    def __init__(self, target, cut=None, flip=None):
        self.target, self.cut, self.flip = target, cut, flip
        self.count = {UP: 0, DOWN: 0}
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.server.close()
        self.thread.join(10)

    def serve(self):
        try:
            self.caller, _ = self.server.accept()
        except OSError:
            return
        self.called = socket.create_connection(("127.0.0.1", self.target))
        if self.cut and self.cut[1] == 0:
            self.end()
        pumps = [threading.Thread(target=self.pump, args=row, daemon=True)
                 for row in ((UP, self.caller, self.called), (DOWN, self.called, self.caller))]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        self.caller.close()
        self.called.close()

    def end(self):
        for sock in (self.caller, self.called):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def pump(self, way, source, sink):
        try:
            while data := source.recv(65536):
                data, last = self.change(way, data)
                sink.sendall(data)
                if last:
                    self.end()
                    return
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other direction has ended both

    def change(self, way, data):
        """What gets through of data, and whether it is the last."""
        at = self.count[way]
        if self.flip and self.flip[0] == way and at <= self.flip[1] < at + len(data):
            data = bytearray(data)
            data[self.flip[1] - at] ^= 1
        last = bool(self.cut) and self.cut[0] == way and at + len(data) >= self.cut[1]
        if last:
            data = data[:self.cut[1] - at]
        self.count[way] += len(data)
        return bytes(data), last
