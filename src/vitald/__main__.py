from vitald.cli import main

main()
