module asyncbolt.invalid/peer

go 1.24.0

require github.com/neo4j/neo4j-go-driver/v6 v6.2.0
