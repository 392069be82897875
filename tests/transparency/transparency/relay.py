"""A TCP relay on loopback: `relay.py LISTEN TARGET`, both ports. It ends with its input."""

import asyncio
import sys


async def copy(reader, writer):
    """One direction, until its end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


async def serve(listen, target):
    """Until the input ends."""

    async def meet(reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))
        up_writer.close()
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", listen)
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
